package broker

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"
)

// TestAskingNobodyIsNoEnd: a stage that asks for messages while the broker is gone
// goes on: it asks again when the broker is back.
func TestAskingNobodyIsNoEnd(t *testing.T) {
	t.Parallel()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, Nkeys: []*server.NkeyUser{{Nkey: public}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(ns.Shutdown)
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	conn, err := Connect(Server{URL: ns.ClientURL()}, "observe", key, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ns.Shutdown()
	for conn.Connected() {
		if err := pause(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	p := &pull{conn: conn, from: "messages", inbox: conn.nc.NewInbox(), ahead: 2}
	if err := p.ask(t.Context()); err != nil {
		t.Errorf("asking ends with %v", err)
	}
	conn.Close()
	p.open = 0
	if err := p.ask(t.Context()); err == nil {
		t.Error("asking on a closed connection does not end")
	}
}
