package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/broker"
)

// wireWait is how long the server may take to answer a PING.
const wireWait = 30 * time.Second

// wire is a connection that sends whatever it is told to, where a client library
// would not, and keeps everything that it receives.
type wire struct {
	t    testing.TB
	conn net.Conn
	out  *bufio.Writer

	// mu guards what follows, for the time of one line.
	mu     sync.Mutex
	got    []wireMsg
	denied []string // texts of -ERR
	pong   chan struct{}
	closed chan struct{}
}

// wireMsg is a message as it came, headers and all.
type wireMsg struct {
	subject, reply string
	header, body   []byte
}

func (m wireMsg) String() string {
	return fmt.Sprintf("%s (%s) %q %q", m.subject, m.reply, m.header, m.body)
}

// open connects, and reads the greeting of the server.
func openWire(t testing.TB, at broker.Server) (w *wire, in *bufio.Reader, nonce string) {
	t.Helper()
	conn, err := dialWire(at)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	in = bufio.NewReaderSize(conn, 1<<16)
	check(t, conn.SetDeadline(time.Now().Add(wireWait)))
	line, err := in.ReadString('\n')
	check(t, err)
	check(t, conn.SetDeadline(time.Time{}))
	var info struct {
		Nonce string `json:"nonce"`
	}
	check(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info))
	if at.TLS != nil {
		trust := at.TLS.Clone()
		trust.ServerName = "127.0.0.1"
		conn = tls.Client(conn, trust)
		in = bufio.NewReaderSize(conn, 1<<16)
	}
	return &wire{
		t:      t,
		conn:   conn,
		out:    bufio.NewWriterSize(conn, 1<<16),
		pong:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}, in, info.Nonce
}

func dialWire(at broker.Server) (net.Conn, error) {
	if at.InProcess != nil {
		return at.InProcess.InProcessConn()
	}
	_, address, _ := strings.Cut(at.URL, "://")
	return net.Dial("tcp", address)
}

// newWire connects as the holder of key.
func newWire(t testing.TB, at broker.Server, key nkeys.KeyPair) *wire {
	t.Helper()
	w, in, nonce := openWire(t, at)
	public, err := key.PublicKey()
	check(t, err)
	signature, err := key.Sign([]byte(nonce))
	check(t, err)
	w.hello(public, base64.RawURLEncoding.EncodeToString(signature))
	go w.read(in)
	if err := w.flush(); err != nil {
		t.Fatalf("connecting: %v: %q", err, w.errors())
	}
	return w
}

func (w *wire) hello(public, signature string) {
	w.printf("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1,\"lang\":\"raw\",\"version\":\"1\",\"nkey\":%q,\"sig\":%q}\r\n", public, signature)
}

func (w *wire) printf(format string, args ...any) { fmt.Fprintf(w.out, format, args...) }

// pub publishes without headers; a reply may be empty.
func (w *wire) pub(subject, reply string, body []byte) {
	w.printf("PUB %s %s %d\r\n", subject, reply, len(body))
	w.out.Write(body)
	w.out.WriteString("\r\n")
}

// hpub publishes with a block of headers, whatever it is.
func (w *wire) hpub(subject, reply, header string, body []byte) {
	w.printf("HPUB %s %s %d %d\r\n%s", subject, reply, len(header), len(header)+len(body), header)
	w.out.Write(body)
	w.out.WriteString("\r\n")
}

func (w *wire) sub(subject string) { w.printf("SUB %s %d\r\n", subject, time.Now().UnixNano()) }

// flush returns when the server has handled everything that was sent.
func (w *wire) flush() error {
	w.printf("PING\r\n")
	if err := w.out.Flush(); err != nil {
		return err
	}
	select {
	case <-w.pong:
		return nil
	case <-w.closed:
		return errors.New("the server closed the connection")
	case <-time.After(wireWait):
		return errors.New("no answer to a PING")
	}
}

// read keeps what comes until the connection ends.
func (w *wire) read(in *bufio.Reader) {
	defer close(w.closed)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, args, _ := strings.Cut(line, " ")
		switch verb {
		case "PONG":
			w.pong <- struct{}{}
		case "PING":
			// Nothing else is written while a flush waits, and the server pings
			// only after minutes.
		case "-ERR":
			w.mu.Lock()
			w.denied = append(w.denied, args)
			w.mu.Unlock()
		case "MSG", "HMSG":
			if err := w.keep(in, verb, strings.Fields(args)); err != nil {
				return
			}
		}
	}
}

// keep reads the message that args announces.
func (w *wire) keep(in *bufio.Reader, verb string, args []string) error {
	sizes := 1
	if verb == "HMSG" {
		sizes = 2
	}
	total, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return err
	}
	headers := 0
	if sizes == 2 {
		if headers, err = strconv.Atoi(args[len(args)-2]); err != nil {
			return err
		}
	}
	payload := make([]byte, total+2)
	if _, err := io.ReadFull(in, payload); err != nil {
		return err
	}
	m := wireMsg{subject: args[0], header: payload[:headers], body: payload[headers:total]}
	if len(args) > 2+sizes {
		m.reply = args[2]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, m)
	return nil
}

// messages returns what was received since it was asked last.
func (w *wire) messages() []wireMsg {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

// errors returns what the server complained about since it was asked last.
func (w *wire) errors() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	denied := w.denied
	w.denied = nil
	return denied
}

// until waits until at least n messages were received since they were asked for
// last.
func (w *wire) until(n int) {
	w.t.Helper()
	deadline := time.After(wireWait)
	for {
		w.mu.Lock()
		have := len(w.got)
		w.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-deadline:
			w.t.Fatalf("received %d messages, want %d; errors %q", have, n, w.errors())
		case <-w.closed:
			w.t.Fatalf("the server closed the connection: %q", w.errors())
		case <-time.After(time.Millisecond):
		}
	}
}
