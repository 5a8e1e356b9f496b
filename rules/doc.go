// Package rules turns a bundle, a catalog of actions and the policy over them,
// into opinions: what the rules of one checkpoint say about an intent.
//
// It promises that nothing is released unless a rule says so, and that a rule
// that fails, takes too long or costs too much ends in front of a person. An
// opinion depends on the bundle and the facts alone, so that it can be formed
// again from its record.
//
// It does not know whether the facts are true, nor what becomes of an opinion.
// The agent's own prose can raise a risk, park or refuse, and lower nothing: only
// the expressions that can do no more than that know it.
//
// # Bundle
//
// A bundle is a directory with one digest:
//
//	catalog.yaml   the actions that exist
//	policy.yaml    the rules; it may include more files of the bundle
//	data/          documents, YAML, JSON or CSV: data/limits.yaml is data.limits,
//	               and data/limits.schema.yaml says what it is
//	cases/         tests, carried along
//	*.md           words for people, anywhere
//
// Nothing else may lie in it, and no links. Names that begin with a dot are left
// out. Unknown keys are mistakes everywhere; all mistakes of a bundle are
// reported at once, each with its line, see [Mistakes].
//
// # Catalog
//
//	version: 1
//	systems:
//	  shop:
//	    queue: billing           # of its operations; each must have one
//	    operations:
//	      refund:
//	        title: refund an order
//	        effect: write        # read or write; required
//	        reversible: false    # default false
//	        idempotent: true     # default false
//	        timeout: 60s         # the lease of a claim; default 60s, at most 24h
//	        execute_by: 15m      # how long a release waits for a claim; the same limit
//	        queue: refunds       # instead of the system's
//	        labels: [untrusted]  # what its result exposes the agent to
//	        params:              # JSON Schema 2020-12 of an object; default: no parameters
//	          type: object
//	          properties: {amount_cents: {type: integer}}
//
// Formats are checked, unknown keywords are mistakes, references stay inside the
// schema and do not recur. The system holdpoint is the gate's own.
//
// # Policy
//
//	version: 1
//	include: [more/refunds.yaml] # the same format, without include
//	risk:
//	  - id: large-refund
//	    actions: [shop.refund]   # or shop.*, *.refund, *
//	    when: params.amount_cents > 10000
//	    add: 40                  # or an expression; below zero counts as zero
//	    reason: refunds above 100.00 are not routine
//	  - id: in-a-hurry
//	    actions: [shop.refund]
//	    raise: "goal.contains('urgent') ? 20 : 0" # instead of add; may ask for prose
//	thresholds:
//	  - actions: ["shop.*"]      # default: every action
//	    park_from: 40
//	    refuse_from: 90
//	    owner: finance
//	    rationale: what we lose in a quiet week
//	rules:
//	  - id: small-refunds-flow
//	    at: recommend            # observe, recommend or execute
//	    actions: [shop.refund]
//	    when: params.amount_cents <= 5000
//	    outcome: release         # at recommend only; or park, refuse
//	    reason: shown to reviewers
//	    tell: told to the agent
//	  - id: about-passwords
//	    at: recommend
//	    actions: [shop.refund]
//	    raise: goal.contains('password') # beside when; may ask for prose
//	    outcome: park            # or refuse, never release
//	approvals:
//	  - id: finance
//	    actions: [shop.refund]
//	    when: params.amount_cents > 50000
//	    eligible: "'finance' in reviewer.groups"
//	    quorum: 2                # default 1
//	    deadline: 4h
//	    remind: 1h
//	budgets:
//	  - id: refunds-a-day
//	    actions: [shop.refund]
//	    when: session != 'drill' # counts these alone
//	    key: agent.owner         # counted apart for each; default: all together
//	    amount: params.amount_cents # default 1
//	    limit: 100000
//	    window: 24h              # or calendar: hour, day, week or month, of UTC
//	    beyond: park             # or refuse
//	standing:
//	  - id: routine
//	    actions: [shop.refund]
//	    when: params.amount_cents <= 20000
//	    approvals: [finance]     # those that it may give; default: every one
//	    uses: 20                 # at most 1000
//	    for: 8h                  # at most 168h
//	    irreversible: true       # must be said unless the action is reversible
//	waivers:
//	  - check: untrusted-write   # a finding of Check that may stay
//	    about: shop.refund       # the id or the action, or a pattern
//	    reason: why it may stay
//
// An id names one thing in the bundle. Without when, an entry always applies. At
// recommend, what no rule releases is parked; at observe and execute, rules only
// tighten. The strictest of what applies decides. Risk and thresholds count at
// recommend. Approvals do not park anything: they say who must agree when
// something else does, at whatever checkpoint that happens. Budgets count at execute:
// what was taken of them is one of the facts, and [Bundle.Charges] says what an intent
// takes. What stands in standing is no part of an opinion: [Bundle.Standing] says what a
// reviewer may have approved in advance.
//
// # Expressions
//
// Expressions are CEL, with the extensions strings, math, lists and sets and
// with optional values (params.?note.orValue("")). They know
//
//	params    the parameters, as the agent gave them
//	agent     name, owner, groups
//	action    name, system, operation, effect, reversible, idempotent, labels
//	session   the agent's own word
//	exposure  labels, actions: what the agent has been given; saw("crm.read")
//	rate      its intents in the minute before; zero at execute
//	data      the documents of the bundle
//	now       the time of the decision
//
// and, in when of rules and approvals, risk: the sum of what add gives, without what
// raise gives; in when of rules at execute, budget: of each budget of the action
// taken, limit and left, by its id with _ in place of -; in raise, goal and reason:
// the agent's prose; and, in eligible only, reviewer (name, person, groups, service),
// agent, and action (name, system, operation).
//
// The condition that a reviewer gives a standing approval knows params, agent, action,
// session, data and now.
//
// # Types
//
// All of them are typed. An expression about several actions must be right for
// each. The schema of an action types params: string, boolean, integer (int) and
// number (double) with or without null, arrays, objects with named fields, and
// objects of any fields as maps; through $ref, allOf, and anyOf and oneOf as far
// as their alternatives agree. What cannot be typed is dyn, and [Check] says where.
// Documents are typed by what is in them, or by a schema. An object whose values
// are all alike is a map, any other has fields; a CSV file of one column is a list,
// any other a map by its first column.
//
// An int and a double compare by order; == and arithmetic do not mix them. In what
// is dyn, a whole number is an int.
//
// A parameter that is not there is an error, hence a park: ask has(params.note),
// or give an optional value.
package rules
