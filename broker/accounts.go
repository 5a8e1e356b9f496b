package broker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// Tenant names one gate: the prefix of its accounts, and the gateway that its
// digests are bound to.
type Tenant schemas.Name

// Account is a side of the wall.
type Account string

// The accounts. Streams and stages live in Gate, the audit in Audit. Everyone
// else connects to one of the others, which have no JetStream and import only
// what their roles need.
const (
	Gate      Account = "GATE"
	AuditLog  Account = "AUDIT"
	Agents    Account = "AGENTS"
	Review    Account = "REVIEW"
	Exec      Account = "EXEC"
	Operate   Account = "OPERATE"
	AuditRead Account = "AUDIT-READ"
)

// Account returns the full name of a tenant's account.
func (t Tenant) Account(a Account) string { return strings.ToUpper(string(t)) + "-" + string(a) }

const (
	// API is the prefix under which the accounts outside see the few JetStream
	// subjects that they import.
	API = "hold.API"

	gateAPI    = "GATE.API"                    // GATE's consumer API, as AUDIT imports it
	copyPrefix = "copy.audit"                  // where GATE delivers what AUDIT copies
	auditInfo  = "AUDIT.API.STREAM.INFO.AUDIT" // AUDIT's health, as GATE imports it

	auditStepDown = "$JS.API.STREAM.LEADER.STEPDOWN.AUDIT"

	bundleStore = "OBJ_bundles"
)

// door is something that one account lets others use. A service is a subject
// that they may publish to and are answered on; a stream one that they may
// subscribe to.
type door struct {
	of      Account
	kind    string // service or stream
	subject string
	to      []Account
	as      string // the subject on the other side, if it differs
	stream  bool   // the answer is more than one message
	records bool   // what comes through is stored
}

// entrance is the subject under which the door's account takes in what it stores.
// A client may publish to a subject that has "*" or ">" as a token, and a stream
// takes it as any other; but no filter lets a literal ">" pass, and AUDIT would
// never copy it. Only a mapping leads from the entrance to the stream, and that
// leaves such a subject where nobody listens.
func (d door) entrance() string { return "in." + d.subject }

// sides returns the subject of the door in its own account, and in the others.
func (d door) sides() (inside, outside string) {
	switch {
	case d.records:
		return d.entrance(), d.subject
	case d.as != "":
		return d.subject, d.as
	default:
		return d.subject, d.subject
	}
}

// doors is every way through the wall.
func doors() []door {
	settled := string(schemas.Settled)
	next := "CONSUMER.MSG.NEXT." + settled + ".*"
	own := "DIRECT.GET." + settled + ".>"
	audit := "DIRECT.GET.AUDIT"
	leader := "STREAM.MSG.GET.AUDIT" // for records whose headers cannot be read
	return []door{
		{of: Gate, kind: "service", subject: "intents.*.*.*", to: []Account{Agents}, records: true},
		{of: Gate, kind: "service", subject: "decisions.*.*.*.*", to: []Account{Review}, records: true},
		{of: Gate, kind: "service", subject: "standing.*.*.*.*", to: []Account{Review}, records: true},
		{of: Gate, kind: "service", subject: "revoked.*.*.*.*", to: []Account{Review}, records: true},
		{of: Gate, kind: "service", subject: "outcomes.*.*.*", to: []Account{Exec}, records: true},
		{of: Gate, kind: "service", subject: "control.*.*.*", to: []Account{Operate}, records: true},
		{of: Gate, kind: "service", subject: "$O.bundles.>", to: []Account{Operate}},
		{of: Gate, kind: "service", subject: "ask.*.*", to: []Account{Agents, Review, Exec, Operate}},
		{of: Gate, kind: "service", subject: "claims.*.*.*", to: []Account{Exec}},
		{of: Gate, kind: "service", subject: "$JS.API." + own, as: API + "." + own, to: []Account{Agents}},
		{of: Gate, kind: "service", subject: "$JS.API." + next, as: API + "." + next, to: []Account{Exec}, stream: true},
		{of: Gate, kind: "service", subject: "$JS.ACK." + settled + ".>", to: []Account{Exec}},
		{of: Gate, kind: "stream", subject: "notices.*.*.*", to: []Account{Agents}},
		{of: Gate, kind: "stream", subject: "holds.*.*.*.*", to: []Account{Review}},
		// What AUDIT needs to copy from GATE, and GATE to see that it does.
		{of: Gate, kind: "service", subject: "$JS.API.CONSUMER.>", as: gateAPI + ".CONSUMER.>", to: []Account{AuditLog}, stream: true},
		{of: Gate, kind: "service", subject: "$JS.FC.>", to: []Account{AuditLog}},
		{of: Gate, kind: "stream", subject: "copy.>", to: []Account{AuditLog}},
		{of: AuditLog, kind: "service", subject: "$JS.API.STREAM.INFO.AUDIT", as: auditInfo, to: []Account{Gate}},
		{of: AuditLog, kind: "service", subject: "$JS.API." + audit, as: API + "." + audit, to: []Account{AuditRead}, stream: true},
		{of: AuditLog, kind: "service", subject: "$JS.API." + leader, as: API + "." + leader, to: []Account{AuditRead}},
	}
}

// Accounts returns all accounts.
func Accounts() []Account {
	return []Account{Gate, AuditLog, Agents, Review, Exec, Operate, AuditRead}
}

// WriteConfig returns the tenant's accounts as a nats-server configuration, with
// the given users in them.
func (t Tenant) WriteConfig(users []User) string { return WriteConfig(map[Tenant][]User{t: users}) }

// WriteConfig returns the accounts of several tenants as one configuration: a
// server takes no more than one list of accounts.
func WriteConfig(tenants map[Tenant][]User) string {
	return accounts(tenants, Gate, AuditLog)
}

// EmbeddedConfig returns the accounts as the embedded server reads them: without
// users, and without JetStream in AUDIT, which that server opens after GATE.
func (t Tenant) EmbeddedConfig() string { return accounts(map[Tenant][]User{t: nil}, Gate) }

func accounts(tenants map[Tenant][]User, jetStream ...Account) string {
	var b strings.Builder
	b.WriteString("accounts {\n")
	for _, t := range slices.Sorted(maps.Keys(tenants)) {
		t.writeAccounts(&b, tenants[t], jetStream)
	}
	b.WriteString("}\n")
	return b.String()
}

func (t Tenant) writeAccounts(b *strings.Builder, users []User, jetStream []Account) {
	for _, a := range Accounts() {
		fmt.Fprintf(b, "  %q: {\n", t.Account(a))
		if slices.Contains(jetStream, a) {
			b.WriteString("    jetstream: enabled\n")
		}
		t.writeDoors(b, a)
		writeMappings(b, a)
		writeUsers(b, a, users)
		b.WriteString("  }\n")
	}
}

func (t Tenant) writeDoors(b *strings.Builder, a Account) {
	b.WriteString("    exports: [\n")
	for _, d := range doors() {
		if d.of != a {
			continue
		}
		inside, _ := d.sides()
		fmt.Fprintf(b, "      { %s: %q, accounts: [", d.kind, inside)
		for i, to := range d.to {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%q", t.Account(to))
		}
		b.WriteString("]")
		if d.stream {
			b.WriteString(", response_type: stream")
		}
		b.WriteString(" }\n")
	}
	b.WriteString("    ]\n    imports: [\n")
	for _, d := range doors() {
		if !slices.Contains(d.to, a) {
			continue
		}
		inside, outside := d.sides()
		fmt.Fprintf(b, "      { %s: { account: %q, subject: %q }", d.kind, t.Account(d.of), inside)
		if outside != inside {
			fmt.Fprintf(b, ", to: %q", outside)
		}
		b.WriteString(" }\n")
	}
	b.WriteString("    ]\n")
}

// writeMappings leads from an account's entrances to its streams.
func writeMappings(b *strings.Builder, a Account) {
	b.WriteString("    mappings: {\n")
	for _, d := range doors() {
		if d.of != a || !d.records {
			continue
		}
		to := d.subject
		for i := 1; strings.Contains(to, "*"); i++ {
			to = strings.Replace(to, "*", fmt.Sprintf("{{wildcard(%d)}}", i), 1)
		}
		fmt.Fprintf(b, "      %q: %q\n", d.entrance(), to)
	}
	b.WriteString("    }\n")
}

func writeUsers(b *strings.Builder, a Account, users []User) {
	b.WriteString("    users: [\n")
	for _, u := range users {
		if u.Account != a {
			continue
		}
		b.WriteString(u.Config())
	}
	b.WriteString("    ]\n")
}

// Config returns the user as an entry of a nats-server configuration.
func (u User) Config() string {
	return fmt.Sprintf("      # %s\n      { nkey: %s, permissions: { publish: { allow: %s }, subscribe: { allow: %s } } }\n",
		u.Name, u.Key, list(u.Publish), list(u.Subscribe))
}

func list(subjects []string) string {
	quoted := make([]string, len(subjects))
	for i, s := range subjects {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
