package schemas

import (
	"slices"
	"strings"
	"time"
)

// Role is the one side of the gate that an identity stands on.
type Role string

// The roles outside the gate.
const (
	RoleAgent         Role = "agent"
	RoleReviewer      Role = "reviewer"
	RoleExecutor      Role = "executor"
	RoleAuditor       Role = "auditor"
	RolePolicyAdmin   Role = "policy-admin"
	RoleIdentityAdmin Role = "identity-admin"
)

// The identities of the gateway itself. Each is a role of its own.
const (
	RoleObserve   Role = "observe"
	RoleRecommend Role = "recommend"
	RoleExecute   Role = "execute"
	RoleAnswer    Role = "answer"
	RoleProvision Role = "provision"

	// RoleProvisionAudit is provision's user in the account of AUDIT.
	RoleProvisionAudit Role = "provision-audit"
)

// OutsideRoles are the roles that an identity may be registered in.
func OutsideRoles() []Role {
	return []Role{RoleAgent, RoleReviewer, RoleExecutor, RoleAuditor, RolePolicyAdmin, RoleIdentityAdmin}
}

// GatewayRoles are the identities of the gateway. Their names are taken.
func GatewayRoles() []Role {
	return []Role{RoleObserve, RoleRecommend, RoleExecute, RoleAnswer, RoleProvision, RoleProvisionAudit}
}

// SessionsDeclared says that an agent names its sessions truthfully, so that what
// it saw in one does not count in another.
const SessionsDeclared = "declared"

// Identity is who may connect as what. It is the content of a control record.
type Identity struct {
	// By is the identity-admin who registered it, or provision.
	By   Name `json:"by"`
	Name Name `json:"name"`
	Role Role `json:"role"`

	// Key is the public nkey. The gate never holds the private one.
	Key string `json:"key"`

	// Owner is the person who answers for an agent, an executor or a service,
	// Person the one who a reviewer, an auditor or an admin is.
	Owner  string   `json:"owner,omitzero"`
	Person string   `json:"person,omitzero"`
	Groups []string `json:"groups,omitempty"`

	// Actions are the patterns that an agent may propose, such as "shop.*".
	// Empty means every action.
	Actions []string `json:"actions,omitempty"`

	// Queues are the queues that a reviewer sees and decides in.
	Queues []Name `json:"queues,omitempty"`

	// Systems are the systems that an executor performs actions on.
	Systems []string `json:"systems,omitempty"`

	// Sessions is empty or SessionsDeclared.
	Sessions string `json:"sessions,omitzero"`

	// Service marks a reviewer that is a program.
	Service bool `json:"service,omitzero"`

	At time.Time `json:"at"`
}

// Principal is the person behind the identity: what separation of duties
// compares.
func (id Identity) Principal() string {
	if id.Person != "" {
		return id.Person
	}
	return id.Owner
}

// MayPropose reports whether an agent is registered for the action.
func (id Identity) MayPropose(a Action) bool {
	if len(id.Actions) == 0 || a == Withdraw {
		return true
	}
	return slices.ContainsFunc(id.Actions, func(pattern string) bool { return MatchAction(pattern, a) })
}

// MatchAction reports whether pattern, an action of which either part may be
// "*", or "*" alone, matches a.
func MatchAction(pattern string, a Action) bool {
	if pattern == "*" {
		return true
	}
	system, operation, _ := strings.Cut(pattern, ".")
	return (system == "*" || system == a.System()) && (operation == "*" || operation == a.Operation())
}

// ParsePattern returns a [Fault] unless pattern is one that MatchAction knows.
func ParsePattern(pattern string) error {
	system, operation, _ := strings.Cut(pattern, ".")
	part := func(s string) bool { return s == "*" || only(s, 1, 64, partByte) }
	if pattern == "*" || part(system) && part(operation) {
		return nil
	}
	return invalid("action pattern %q: want <system>.<operation>, <system>.* or *", clip(pattern))
}

func (id Identity) Subject() string {
	return Subject{Kind: "control", Writer: id.By, About: "identity", Record: id.Name}.String()
}

func (Identity) Type() string { return "control.identity.v1" }

// Removal takes an identity away, for ever.
type Removal struct {
	By     Name      `json:"by"`
	Name   Name      `json:"name"`
	Reason string    `json:"reason,omitzero"`
	At     time.Time `json:"at"`
}

func (r Removal) Subject() string {
	return Subject{Kind: "control", Writer: r.By, About: "removal", Record: r.Name}.String()
}

func (Removal) Type() string { return "control.removal.v1" }
