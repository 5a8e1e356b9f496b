package embedded_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestRemovedIsCutOff: who was removed is cut off at the next review and does not
// come back, however often it tries; nobody else is disturbed. If it exists again
// it is connected again by itself.
func TestRemovedIsCutOff(t *testing.T) {
	t.Parallel()
	d := population(t)
	cfg := config(t, d)
	cfg.Port = -1
	s := start(t, cfg)
	provision(t, s, d)
	at := broker.Server{URL: s.URL()}
	bot, ann := mustConnect(t, at, d, "bot"), mustConnect(t, at, d, "ann")
	_, err := bot.Send(t.Context(), intent)
	check(t, err)
	id := d.remove(t, "bot")
	s.Review()
	until(t, "bot is cut off", func() bool { return !bot.Connected() })
	until(t, "bot has tried to come back", func() bool { return d.refusals(t, "bot") > 3 })
	if bot.Connected() {
		t.Error("bot is back")
	}
	if _, err := connect(t, at, d, "bot"); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("bot connects anew: %v, want ErrDenied", err)
	}
	s.Review()
	if !ann.Connected() {
		t.Error("ann was cut off too")
	}
	if _, err := ann.Send(t.Context(), schemas.Draft{Subject: "decisions.ann.desk.bot.01HZZZZZZZZZZZZZZZZZZZZZZZ"}); err != nil {
		t.Errorf("ann decides: %v", err)
	}
	d.restore(id)
	until(t, "bot is back", func() bool {
		_, err := bot.Send(t.Context(), intent)
		return err == nil
	})
}

// TestReviewLeavesNewcomersAlone: who has only just opened a connection has not
// said who it is, and is looked at when it does.
func TestReviewLeavesNewcomersAlone(t *testing.T) {
	t.Parallel()
	d := population(t)
	cfg := config(t, d)
	cfg.Port = -1
	s := start(t, cfg)
	u, err := url.Parse(s.URL())
	check(t, err)
	conn, err := net.Dial("tcp", u.Host)
	check(t, err)
	defer func() { _ = conn.Close() }()
	check(t, conn.SetDeadline(time.Now().Add(patience)))
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	check(t, err)
	var info struct {
		Nonce string `json:"nonce"`
	}
	check(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info))
	s.Review()
	signature, err := d.keys["bot"].Sign([]byte(info.Nonce))
	check(t, err)
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"nkey\":%q,\"sig\":%q}\r\nPING\r\n", d.public(t, "bot"), base64.RawURLEncoding.EncodeToString(signature))
	check(t, err)
	if line, err = in.ReadString('\n'); err != nil || line != "PONG\r\n" {
		t.Errorf("bot says who it is: %q, %v; want PONG", line, err)
	}
}

// TestNobodyBeforeControlIsRead: until all of CONTROL was read only the gate's own
// get in, so that nobody slips in who was removed. Whoever tried meanwhile is let
// in then.
func TestNobodyBeforeControlIsRead(t *testing.T) {
	t.Parallel()
	d := population(t)
	gateway := map[schemas.Role]string{}
	for _, role := range schemas.GatewayRoles() {
		gateway[role] = d.public(t, schemas.Name(role))
	}
	control := []schemas.Record{
		admits(t, d, "provision", schemas.Identity{Name: "ida", Role: schemas.RoleIdentityAdmin}),
		admits(t, d, "ida", schemas.Identity{Name: "cat", Role: schemas.RoleAgent, Owner: "olga"}),
	}
	names := func() *identity.Registry {
		r := identity.NewRegistry(gateway)
		for _, record := range control {
			check(t, r.Apply(record))
		}
		return r
	}
	cfg := config(t, nil)
	cfg.Port = -1
	open := names()
	open.Ready()
	cfg.Directory = open
	s := start(t, cfg)
	provision(t, s, d)
	cat := mustConnect(t, broker.Server{URL: s.URL()}, d, "cat")
	port := portOf(t, s)
	check(t, s.Stop(t.Context()))
	// The gate starts again, at the same address.
	reading := &counting{Registry: names()}
	cfg.Directory, cfg.Port = reading, port
	s = start(t, cfg)
	for _, name := range []schemas.Name{"cat", "ida"} {
		if _, err := connect(t, broker.Server{URL: s.URL()}, d, name); !errors.Is(err, schemas.ErrDenied) {
			t.Errorf("%s, before CONTROL was read: %v, want ErrDenied", name, err)
		}
	}
	for _, role := range schemas.GatewayRoles() {
		mustConnect(t, s.Connection(), d, schemas.Name(role))
	}
	turnedAway := reading.refused.Load()
	until(t, "cat was turned away several times", func() bool { return reading.refused.Load() > turnedAway+2 })
	reading.Ready()
	until(t, "cat is back", func() bool {
		_, err := cat.Send(t.Context(), schemas.Draft{Subject: "intents.cat.shop.refund", Body: []byte("{}")})
		return err == nil
	})
}

// counting counts who was turned away.
type counting struct {
	*identity.Registry
	refused atomic.Int32
}

func (c *counting) ByKey(key string) (schemas.Identity, error) {
	id, err := c.Registry.ByKey(key)
	if err != nil {
		c.refused.Add(1)
	}
	return id, err
}

// admits is the record by which somebody is registered.
func admits(t testing.TB, d *directory, by schemas.Name, id schemas.Identity) schemas.Record {
	t.Helper()
	d.add(t, id)
	id.By, id.Key, id.At = by, d.public(t, id.Name), time.Now()
	draft := schemas.Write(id, "/test", id.At, "")
	return schemas.Record{Stream: schemas.Control, Subject: draft.Subject, Header: draft.Header, Body: draft.Body}
}

func portOf(t testing.TB, s *embedded.Server) int {
	t.Helper()
	u, err := url.Parse(s.URL())
	check(t, err)
	port, err := strconv.Atoi(u.Port())
	check(t, err)
	return port
}
