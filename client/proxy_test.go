package client_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"
)

// fault is what becomes of a message whose connection ends at it.
type fault int

const (
	none   fault = iota
	lose         // the broker never sees it
	landed       // the broker keeps it, and its answer is lost
)

// proxy stands between a client and the broker, and can end a connection at a
// message on a subject.
type proxy struct {
	t      testing.TB
	listen net.Listener
	broker string

	// mu guards what follows, for the time of one look.
	mu      sync.Mutex
	at      []byte
	what    fault
	happens int // how often it did
}

func newProxy(t testing.TB, brokerURL string) *proxy {
	t.Helper()
	u, err := url.Parse(brokerURL)
	check(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	p := &proxy{t: t, listen: l, broker: u.Host}
	t.Cleanup(func() { _ = l.Close() })
	go p.run()
	return p
}

func (p *proxy) url() string { return "nats://" + p.listen.Addr().String() }

// breaks ends the connection of whoever publishes next on a subject that begins so.
func (p *proxy) breaks(what fault, subject string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.at, p.happens = what, []byte("PUB "+subject), 0
}

func (p *proxy) happened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.happens
}

func (p *proxy) run() {
	for {
		from, err := p.listen.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.broker)
		if err != nil {
			_ = from.Close()
			continue
		}
		c := &passage{p: p, from: from, to: to}
		go c.up()
		go c.down()
	}
}

// next returns what happens to what a client sends.
func (p *proxy) next(sent []byte) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.what == none || !bytes.Contains(sent, p.at) {
		return none
	}
	what := p.what
	p.what = none
	p.happens++
	return what
}

// passage is one connection through the proxy.
type passage struct {
	p        *proxy
	from, to net.Conn

	mu   sync.Mutex // guards over, for the time of one write
	over bool       // nothing goes back any more
}

func (c *passage) up() {
	defer func() { _, _ = c.from.Close(), c.to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.from.Read(buf)
		if err != nil {
			return
		}
		what := c.p.next(buf[:n])
		if what != none {
			c.mu.Lock()
			c.over = true
			c.mu.Unlock()
		}
		if what == lose {
			return
		}
		if _, err := c.to.Write(buf[:n]); err != nil || what == landed {
			return
		}
	}
}

func (c *passage) down() {
	defer func() { _, _ = c.from.Close(), c.to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.to.Read(buf)
		if err != nil {
			return
		}
		c.mu.Lock()
		if !c.over {
			_, err = c.from.Write(buf[:n])
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}
