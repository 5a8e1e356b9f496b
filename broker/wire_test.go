package broker_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// raw publishes a block of headers that no client library would send, and returns
// when the server has received it.
func (w *world) raw(name schemas.Name, subject, header, body string) {
	w.t.Helper()
	conn, err := w.ns.InProcessConn()
	check(w.t, err)
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	check(w.t, err)
	var info struct {
		Nonce string `json:"nonce"`
	}
	check(w.t, json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info))
	public, err := w.keys[name].PublicKey()
	check(w.t, err)
	signature, err := w.keys[name].Sign([]byte(info.Nonce))
	check(w.t, err)
	_, err = fmt.Fprintf(conn, "CONNECT {\"headers\":true,\"nkey\":%q,\"sig\":%q}\r\nHPUB %s %d %d\r\n%s%s\r\nPING\r\n",
		public, base64.RawURLEncoding.EncodeToString(signature), subject, len(header), len(header)+len(body), header, body)
	check(w.t, err)
	for !strings.HasPrefix(line, "PONG") {
		if line, err = in.ReadString('\n'); err != nil || strings.HasPrefix(line, "-ERR") {
			w.t.Fatalf("publishing on %s: %s %v", subject, line, err)
		}
	}
}

// holds waits until a stream holds everything up to a sequence.
func (w *world) holds(stream schemas.Stream, last uint64) {
	w.t.Helper()
	log := w.log(schemas.RoleExecute)
	w.again(func(ctx context.Context) error {
		have, err := log.LastSeq(ctx, stream)
		if err == nil && have < last {
			err = schemas.ErrUnavailable
		}
		return err
	})
}
