package broker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// User is an identity as the broker sees it: the account that it connects to,
// and every subject that it may publish and subscribe to there. Both lists are
// never empty: to the broker, no permissions would mean all of them.
type User struct {
	Name      schemas.Name
	Key       string // public nkey
	Account   Account
	Publish   []string
	Subscribe []string
}

// UserOf maps an identity to what it may do. It is the one place that says so:
// the embedded server asks it at every connection, and the configuration of an
// external server is printed from it. It returns an [schemas.ErrDenied] for a
// role that does not exist.
func UserOf(id schemas.Identity) (User, error) {
	u := User{Name: id.Name, Key: id.Key, Subscribe: []string{inbox(id.Name) + ".>"}}
	switch id.Role {
	case schemas.RoleAgent:
		u.agent(id)
	case schemas.RoleReviewer:
		u.reviewer(id)
	case schemas.RoleExecutor:
		u.executor(id)
	case schemas.RoleAuditor:
		u.Account = AuditRead
		u.Publish = []string{API + ".DIRECT.GET.AUDIT", API + ".STREAM.MSG.GET.AUDIT"}
	case schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin:
		u.operator(id)
	default:
		u.gateway(id.Role)
	}
	if len(u.Publish) == 0 {
		return User{}, fmt.Errorf("role %q of %s: %w", id.Role, id.Name, schemas.ErrDenied)
	}
	return u, nil
}

// inbox is where an identity receives its answers; nobody else can subscribe
// there.
func inbox(name schemas.Name) string { return "_INBOX_" + string(name) }

func ask(name schemas.Name) string { return "ask." + string(name) + ".*" }

func (u *User) agent(id schemas.Identity) {
	u.Account = Agents
	patterns := id.Actions
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	for _, p := range slices.Concat(patterns, []string{string(schemas.Withdraw)}) {
		system, operation, _ := strings.Cut(p, ".")
		if p == "*" {
			operation = "*"
		}
		u.Publish = append(u.Publish, "intents."+string(id.Name)+"."+system+"."+operation)
	}
	for _, kind := range []string{"released", "refused"} {
		own := schemas.Subject{Kind: kind, Agent: id.Name}.String()
		u.Publish = append(u.Publish, API+".DIRECT.GET."+string(schemas.Settled)+"."+own)
	}
	u.Publish = append(u.Publish, ask(id.Name))
	u.Subscribe = append(u.Subscribe, "notices."+string(id.Name)+".*.*")
}

func (u *User) reviewer(id schemas.Identity) {
	u.Account = Review
	for _, q := range id.Queues {
		for _, kind := range []string{"decisions", "standing", "revoked"} {
			u.Publish = append(u.Publish, schemas.Subject{Kind: kind, Writer: id.Name, Queue: q}.String())
		}
		u.Subscribe = append(u.Subscribe, "holds."+string(q)+".*.*.*")
	}
	u.Publish = append(u.Publish, ask(id.Name))
}

func (u *User) executor(id schemas.Identity) {
	u.Account = Exec
	u.Publish = []string{
		schemas.Subject{Kind: "outcomes", Writer: id.Name}.String(),
		"claims." + string(id.Name) + ".*.*",
		ask(id.Name),
	}
	settled := string(schemas.Settled) + "."
	for _, system := range id.Systems {
		u.Publish = append(u.Publish,
			API+".CONSUMER.MSG.NEXT."+settled+SystemConsumer(system),
			"$JS.ACK."+settled+SystemConsumer(system)+".>")
	}
}

func (u *User) operator(id schemas.Identity) {
	u.Account = Operate
	for _, about := range schemas.Abouts(id.Role) {
		u.Publish = append(u.Publish, schemas.Subject{Kind: "control", Writer: id.Name, About: about}.String())
	}
	if id.Role == schemas.RolePolicyAdmin {
		u.Publish = append(u.Publish, "$O.bundles.>")
	}
	u.Publish = append(u.Publish, ask(id.Name))
}

// gateway gives the gate's own identities what they need. None may manage
// streams but provision, and none may delete one or change its limits.
func (u *User) gateway(role schemas.Role) {
	u.Account = Gate
	switch role {
	case schemas.RoleObserve:
		u.writes("observed")
		u.works(schemas.Intents)
		u.reads(schemas.Control, schemas.Exposed, bundleStore)
		u.watches(schemas.Control, schemas.Exposed)
		u.sees(schemas.Observed)
	case schemas.RoleRecommend:
		u.writes("recommended")
		u.works(schemas.Observed)
		u.reads(schemas.Control, bundleStore)
		u.watches(schemas.Control)
		u.sees(schemas.Recommended)
	case schemas.RoleExecute:
		u.writes("parked", "released", "refused", "granted", "rejected", "exposed", "budgets")
		u.Publish = append(u.Publish, "lapsed.*.*.execute", "notices.*.*.*", "holds.*.*.*.*", auditInfo)
		u.works(schemas.Recommended)
		u.works(schemas.Decisions)
		u.works(schemas.Outcomes)
		u.reads(schemas.Streams()...)
		u.reads(bundleStore)
		u.watches(schemas.Control, schemas.Standings)
		for _, stream := range []schemas.Stream{schemas.Intents, schemas.Observed} { // how the other stages keep up
			u.Publish = append(u.Publish, "$JS.API.CONSUMER.INFO."+string(stream)+"."+stageConsumer(stream))
		}
	case schemas.RoleAnswer:
		u.Publish = append(u.Publish, "_R_.>")
		u.Subscribe = append(u.Subscribe, "ask.*.*", "claims.*.*.*")
	case schemas.RoleProvision:
		u.provision()
	case schemas.RoleProvisionAudit:
		// It can neither change nor remove AUDIT, nor anything in it; giving it
		// another leader moves no record.
		u.Account = AuditLog
		u.Publish = append(u.Publish, "$JS.API.STREAM.CREATE.AUDIT", "$JS.API.STREAM.INFO.AUDIT", auditStepDown)
	}
}

// provision creates what is missing and trims; it cannot delete a stream, nor
// update one.
func (u *User) provision() {
	u.Publish = append(u.Publish, auditInfo)
	u.watches(schemas.Control)
	for _, about := range schemas.Abouts(schemas.RoleProvision) {
		u.Publish = append(u.Publish, schemas.Subject{Kind: "control", Writer: schemas.Name(schemas.RoleProvision), About: about}.String())
	}
	for _, stream := range append(schemas.Streams(), bundleStore) {
		s := string(stream)
		u.Publish = append(u.Publish,
			"$JS.API.STREAM.CREATE."+s,
			"$JS.API.STREAM.PURGE."+s,
			"$JS.API.CONSUMER.CREATE."+s+".>",
			"$JS.API.CONSUMER.INFO."+s+".*")
		u.reads(stream)
	}
}

// writes allows publishing to every subject of the kinds.
func (u *User) writes(kinds ...string) {
	for _, kind := range kinds {
		u.Publish = append(u.Publish, schemas.Subject{Kind: kind}.String())
	}
}

// works allows taking and acknowledging the messages of a stage's input.
func (u *User) works(stream schemas.Stream) {
	at := string(stream) + "." + stageConsumer(stream)
	u.Publish = append(u.Publish,
		"$JS.API.CONSUMER.INFO."+at,
		"$JS.API.CONSUMER.MSG.NEXT."+at,
		"$JS.ACK."+at+".>")
	u.sees(stream)
}

// reads allows reading the records of the streams.
func (u *User) reads(streams ...schemas.Stream) {
	for _, stream := range streams {
		u.sees(stream)
		u.Publish = append(u.Publish,
			"$JS.API.STREAM.MSG.GET."+string(stream),
			"$JS.API.DIRECT.GET."+string(stream))
	}
}

// watches allows hearing that there is something new in the streams.
func (u *User) watches(streams ...schemas.Stream) {
	for _, stream := range streams {
		u.Subscribe = append(u.Subscribe, stream.Subjects()...)
	}
}

// sees allows asking for a stream's configuration and state.
func (u *User) sees(stream schemas.Stream) {
	u.Publish = append(u.Publish, "$JS.API.STREAM.INFO."+string(stream))
}
