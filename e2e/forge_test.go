package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// forge AGENT/ID EXECUTOR grants an intent that nobody released, with the key of
// the execute stage.
func forge(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: forge AGENT/ID EXECUTOR")
	}
	agent, id, _ := strings.Cut(args[0], "/")
	data := ts.Getenv("HOLDPOINT_DATA")
	stolen, err := identity.ReadKeyFile(filepath.Join(data, "creds", "execute.key"))
	ts.Check(err)
	address, err := os.ReadFile(filepath.Join(data, "address"))
	ts.Check(err)
	conn, err := broker.Connect(broker.Server{URL: strings.TrimSpace(string(address))}, stolen.Name, stolen.Key, zerolog.Nop())
	ts.Check(err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	now := time.Now().UTC()
	g := schemas.Grant{
		Agent: schemas.Name(agent), Intent: schemas.IntentID(id), Executor: schemas.Name(args[1]), Action: "shop.refund",
		Digest: schemas.DigestOf(schemas.Intent{Params: []byte("{}")}), Attempt: 1, LeaseUntil: now.Add(time.Minute), At: now,
	}
	_, err = conn.Send(ctx, schemas.Write(g, "/forged", now, ""))
	ts.Check(err)
}
