package embedded

import (
	"encoding/base64"
	"math"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
)

// doorman decides who may connect, and to which account with which permissions.
type doorman struct {
	tenant    broker.Tenant
	directory Directory
	log       zerolog.Logger
	server    *server.Server

	// mu guards raiser, for the time of one look: the key of who gives AUDIT more
	// room, while that is done.
	mu     sync.Mutex
	raiser string
}

// let lets in the holder of a key as the one who gives AUDIT more room, or nobody if
// it is empty.
func (d *doorman) let(raiser string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raiser = raiser
}

// find returns who has a key.
func (d *doorman) find(key string) (broker.User, error) {
	d.mu.Lock()
	raiser := d.raiser
	d.mu.Unlock()
	if raiser != "" && key == raiser {
		return broker.Raiser(key), nil
	}
	id, err := d.directory.ByKey(key)
	if err != nil {
		return broker.User{}, err
	}
	return broker.UserOf(id)
}

func newDoorman(cfg Config) *doorman {
	return &doorman{tenant: cfg.Tenant, directory: cfg.Directory, log: cfg.Log}
}

// Check implements [server.Authentication]: the client must sign the server's
// nonce with a key that the directory knows.
func (d *doorman) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	if c.Kind() != server.CLIENT || !signed(opts.Nkey, opts.Sig, c.GetNonce()) {
		return false
	}
	user, err := d.user(opts.Nkey)
	if err != nil {
		d.log.Warn().Err(err).Msg("refusing a connection")
		return false
	}
	c.RegisterUser(user)
	return true
}

func (d *doorman) user(key string) (*server.User, error) {
	user, err := d.find(key)
	if err != nil {
		return nil, err
	}
	account, err := d.server.LookupAccount(d.tenant.Account(user.Account))
	if err != nil {
		return nil, err
	}
	return &server.User{
		Username: string(user.Name),
		Account:  account,
		Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: user.Publish},
			Subscribe: &server.SubjectPermission{Allow: user.Subscribe},
		},
	}, nil
}

// signed reports whether sig is the signature over nonce of the holder of key. It
// is in base64 as some clients write it, or as others do: the server itself takes
// both.
func signed(key, sig string, nonce []byte) bool {
	if key == "" || len(nonce) == 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		if signature, err = base64.StdEncoding.DecodeString(sig); err != nil {
			return false
		}
	}
	public, err := nkeys.FromPublicKey(key)
	return err == nil && public.Verify(nonce, signature) == nil
}

// review cuts off every connection whose key the directory no longer knows. One
// that has not said who it is, is passed over: Check will ask the directory.
func (d *doorman) review() {
	connections, err := d.server.Connz(&server.ConnzOptions{Username: true, Limit: math.MaxInt32})
	if err != nil {
		d.log.Error().Err(err).Msg("listing connections")
		return
	}
	for _, c := range connections.Conns {
		if c.AuthorizedUser == "" {
			continue
		}
		if _, err := d.directory.ByKey(c.AuthorizedUser); err == nil {
			continue
		}
		if err := d.server.DisconnectClientByID(c.Cid); err == nil {
			d.log.Info().Str("name", c.Name).Msg("cut off a connection whose identity was removed")
		}
	}
}
