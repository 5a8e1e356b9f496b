package embedded_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/schemas"
)

var intent = schemas.Draft{Subject: "intents.bot.shop.refund", Body: []byte("{}")}

// TestDataDirectoryIsLocked: a second server on the same directory does not start,
// and says which one it is; when the first has stopped it does, with everything
// that was kept.
func TestDataDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	d := population(t)
	cfg := config(t, d)
	cfg.Dir = filepath.Join(cfg.Dir, "made", "on the way")
	first := start(t, cfg)
	provision(t, first, d)
	sent, err := mustConnect(t, first.Connection(), d, "bot").Send(t.Context(), intent)
	check(t, err)
	if _, err := embedded.Start(cfg); !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("a second server: %v, want an error that names %s", err, cfg.Dir)
	}
	if _, err := mustConnect(t, first.Connection(), d, "bot").Send(t.Context(), intent); err != nil {
		t.Errorf("the first server, after the second tried: %v", err)
	}
	check(t, first.Stop(t.Context()))
	second := start(t, cfg)
	again, err := mustConnect(t, second.Connection(), d, "bot").Send(t.Context(), intent)
	if err != nil || again.Seq != sent.Seq+2 {
		t.Errorf("after a restart: %+v, %v, want what was kept", again, err)
	}
	if info, err := os.Stat(cfg.Dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v, want it closed to others", info, err)
	}
}

// TestDirectoryThatCannotBeUsed: the error names it.
func TestDirectoryThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	cfg := config(t, population(t))
	file := filepath.Join(cfg.Dir, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		cfg.Dir = dir
		if _, err := embedded.Start(cfg); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("in %s: %v, want an error that names it", dir, err)
		}
	}
}

// TestLoopbackOnly: the server listens where only this machine can reach it, or
// nowhere.
func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	d := population(t)
	if s := start(t, config(t, d)); s.URL() != "" {
		t.Errorf("it was to be reached in process only, and listens at %s", s.URL())
	}
	cfg := config(t, d)
	cfg.Port = -1
	s := start(t, cfg)
	u, err := url.Parse(s.URL())
	check(t, err)
	if u.Hostname() != "127.0.0.1" || u.Port() == "" {
		t.Fatalf("it listens at %s", s.URL())
	}
	if c := mustConnect(t, broker.Server{URL: s.URL()}, d, "bot"); !c.Connected() {
		t.Error("not connected")
	}
	addresses, err := net.InterfaceAddrs()
	check(t, err)
	for _, a := range addresses {
		ip, _, err := net.ParseCIDR(a.String())
		if err != nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		if c, err := net.Dial("tcp", net.JoinHostPort(ip.String(), u.Port())); err == nil {
			_ = c.Close()
			t.Errorf("it can be reached at %s", ip)
		}
	}
}

// TestAddressInUse: a server that cannot listen says so, and does not wait; the
// directory is free again, and the address too once its holder has stopped.
func TestAddressInUse(t *testing.T) {
	t.Parallel()
	d := population(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	cfg := config(t, d)
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	refused, err := embedded.Start(cfg)
	check(t, err)
	if err := refused.Listen(); !errors.Is(err, schemas.ErrUnavailable) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("on an address in use: %v", err)
	}
	check(t, refused.Stop(t.Context()))
	check(t, l.Close())
	for range 2 {
		s := start(t, cfg)
		mustConnect(t, broker.Server{URL: s.URL()}, d, "bot")
		check(t, s.Stop(t.Context()))
	}
}

// TestStreamsThatCannotBeRead: a server whose store cannot be used does not start
// without it.
func TestStreamsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	cfg := config(t, population(t))
	check(t, os.WriteFile(filepath.Join(cfg.Dir, "streams"), []byte("not a directory"), 0o600))
	if _, err := embedded.Start(cfg); err == nil || !strings.Contains(err.Error(), "starting the embedded broker") {
		t.Errorf("with a store that is none: %v", err)
	}
	check(t, os.Remove(filepath.Join(cfg.Dir, "streams")))
	start(t, cfg)
}

// TestStopIsBounded: stopping does not outlast its context, and says so. The
// directory stays locked until the server has stopped indeed.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	cfg := config(t, population(t))
	s := start(t, cfg)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(over); !errors.Is(err, context.Canceled) {
		t.Errorf("stopping in no time: %v", err)
	}
	if _, err := embedded.Start(cfg); err == nil {
		t.Error("another server started on the directory")
	}
	check(t, s.Stop(t.Context()))
	check(t, start(t, cfg).Stop(t.Context()))
}

// TestOnlyKeysGetIn: who has no key that the directory knows, or cannot sign with
// it, is not let in, whatever else it shows.
func TestOnlyKeysGetIn(t *testing.T) {
	t.Parallel()
	d := population(t)
	cfg := config(t, d)
	cfg.Port = -1
	s := start(t, cfg)
	stranger, err := nkeys.CreateUser()
	check(t, err)
	strange, err := stranger.PublicKey()
	check(t, err)
	account, err := nkeys.CreateAccount()
	check(t, err)
	accounts, err := account.PublicKey()
	check(t, err)
	bot := d.public(t, "bot")
	for what, option := range map[string]nats.Option{
		"nothing":                     nats.Name("x"),
		"a password":                  nats.UserInfo("bot", "bot"),
		"a token":                     nats.Token(bot),
		"its name as user":            nats.UserInfo("provision", ""),
		"an unknown key":              nats.Nkey(strange, stranger.Sign),
		"the key of an account":       nats.Nkey(accounts, account.Sign),
		"a known key, another's sign": nats.Nkey(bot, stranger.Sign),
		"a known key, no signature":   nats.Nkey(bot, func([]byte) ([]byte, error) { return nil, nil }),
		"a known key, old signature": nats.Nkey(bot, func([]byte) ([]byte, error) {
			return d.keys["bot"].Sign([]byte("an old nonce"))
		}),
		"a JWT": nats.UserJWT(func() (string, error) { return "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.e30.x", nil }, d.keys["bot"].Sign),
	} {
		if nc, err := nats.Connect(s.URL(), option); err == nil {
			nc.Close()
			t.Errorf("with %s: connected", what)
		} else if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("with %s: %v, want ErrAuthorization", what, err)
		}
	}
	if _, err := connect(t, s.Connection(), d, "bot"); err != nil {
		t.Errorf("with a key and its signature: %v", err)
	}
}
