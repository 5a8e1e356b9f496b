package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// verdict is what is true of an intent at one moment.
type verdict struct {
	// fault refuses the intent whatever the rules say.
	fault *schemas.Fault

	opinion schemas.Opinion
	action  rules.Action
	bundle  schemas.Digest
	at      time.Time

	// waiting is why a release must wait, such as "frozen"; "" if it need not.
	waiting string

	// exposed names the record of the exposure that the rules saw.
	exposed []schemas.Pointer

	// accounts are the budgets that the intent takes of, and taken what the rules
	// saw of them.
	accounts []account
	taken    []schemas.Taken
}

// said is what was said of an intent before: the opinion, the bundle that it came
// from, and what of it still binds under another bundle.
type said struct {
	opinion, binding schemas.Opinion
	bundle           schemas.Digest

	// paid are the budgets as they stood when the intent took of them, if it was
	// released.
	paid []schemas.Budget
}

// outcome is what v makes of an intent.
func (v verdict) outcome() schemas.Outcome {
	switch {
	case v.fault != nil || v.opinion.Outcome == schemas.Refuse:
		return schemas.Refuse
	case v.opinion.Outcome == schemas.Release && v.waiting == "":
		return schemas.Release
	default:
		return schemas.Park
	}
}

// judge evaluates an intent as things are now. It is asked before the first
// verdict, again before every release of a hold, and again at every claim, so that
// an approval is an input and never an override.
func (e *Execute) judge(ctx context.Context, in schemas.Intent, said said) (verdict, error) {
	return e.judging().judge(ctx, in, said)
}

// judging returns what it takes to evaluate an intent by the streams.
func (e *Execute) judging() judging {
	j := judging{e.Common, e.exposure, e}
	if e.takings != nil {
		j.takings = e.takings
	}
	return j
}

// judging is what it takes to evaluate an intent, with or without streams.
type judging struct {
	Common

	// exposure returns what an agent has been given, and the record that says so,
	// which is the zero record if there is none.
	exposure func(ctx context.Context, agent schemas.Name) (schemas.Exposure, schemas.Record, error)

	takings takings
}

// judge evaluates registration, expiry, catalog, rules, exposure and freeze.
//
// The rules of execute are evaluated every time; those of observe and recommend
// again if there is another bundle now than the one of said.
func (j judging) judge(ctx context.Context, in schemas.Intent, said said) (verdict, error) {
	v := verdict{at: j.now()}
	agent, known := j.Names.ByName(in.Agent)
	switch {
	case !known || agent.Role != schemas.RoleAgent || !agent.MayPropose(in.Action):
		v.fault = &schemas.Fault{Code: schemas.CodeUnregistered}
		return v, nil
	case !v.at.Before(in.Expires()):
		v.fault = &schemas.Fault{Code: schemas.CodeExpired}
		return v, nil
	}
	policy, err := j.Control.Policy(ctx)
	if err != nil {
		return v, err
	}
	v.bundle = policy.Digest()
	if v.bundle != said.bundle {
		if v.fault = catalogFault(policy, in); v.fault != nil {
			return v, nil
		}
	}
	if v.action, known = policy.Action(in.Action); !known {
		v.fault = &schemas.Fault{Code: schemas.CodeUnknownAction, Detail: string(in.Action)}
		return v, nil
	}
	facts := rules.Facts{Intent: in, Agent: factsOf(agent), Now: v.at}
	if err := j.readExposure(ctx, agent, &v, &facts); err != nil {
		return v, err
	}
	if err := j.readBudgets(ctx, policy, said.paid, &v, &facts); err != nil {
		return v, err
	}
	v.opinion = policy.Evaluate(ctx, rules.Execute, facts)
	if v.bundle == said.bundle {
		v.opinion = said.opinion.Join(v.opinion)
	} else {
		v.opinion = said.binding.Join(v.opinion).Join(j.evaluateAgain(ctx, policy, facts))
	}
	if f, frozen := j.Control.Frozen(in.Agent, in.Action); frozen {
		v.waiting = frozenBy(f.Scope)
	}
	return v, nil
}

// frozenBy says that a release waits for a thaw.
func frozenBy(s schemas.Scope) string { return "frozen: " + s.String() }

// evaluateAgain returns what the rules of the first two checkpoints say now.
func (j judging) evaluateAgain(ctx context.Context, policy Policy, facts rules.Facts) schemas.Opinion {
	return policy.Evaluate(ctx, rules.Observe, facts).Join(policy.Evaluate(ctx, rules.Recommend, facts))
}

// readExposure reads what the agent was given, from the leader, if any rule of
// the action looks at it.
func (j judging) readExposure(ctx context.Context, agent schemas.Identity, v *verdict, facts *rules.Facts) error {
	if !v.action.ReadsExposure {
		return nil
	}
	exposure, r, err := j.exposure(ctx, agent.Name)
	if err != nil {
		return err
	}
	if r.Seq > 0 {
		v.exposed = []schemas.Pointer{r.Pointer()}
	}
	facts.Exposure = exposure.Facts(sessionOf(agent, facts.Intent), v.at)
	return nil
}

// exposure returns the exposure of an agent and the record that says so, which
// is the zero record if there is none.
func (e *Execute) exposure(ctx context.Context, agent schemas.Name) (schemas.Exposure, schemas.Record, error) {
	exposure := schemas.Exposure{Agent: agent}
	r, err := e.last(ctx, schemas.Exposed, exposure.Subject(), &exposure)
	if errors.Is(err, schemas.ErrNotFound) {
		return exposure, schemas.Record{}, nil
	}
	return exposure, r, err
}

// provide records, before a release, what must be on record by then: what the
// intent takes of budgets, and what its result exposes the agent to.
func (e *Execute) provide(ctx context.Context, m matter, v *verdict) error {
	if err := e.reserve(ctx, m, v); err != nil {
		return err
	}
	return e.expose(ctx, m, v)
}

// expose records, before a release, that its result will expose the agent to
// something. If we crash after that, the agent counts as exposed to what it was
// not given: that is the safe side.
func (e *Execute) expose(ctx context.Context, m matter, v *verdict) error {
	if len(v.action.Labels) == 0 {
		return nil
	}
	agent, _ := e.Names.ByName(m.intent.Agent)
	for {
		have, r, err := e.exposure(ctx, m.intent.Agent)
		if err != nil {
			return err
		}
		seen := e.Limits.seen(agent, m.intent, *v)
		if covered(have, seen, v.at.Add(e.Limits.Exposure)) {
			return nil
		}
		next, err := have.Add(seen, v.at)
		if err != nil {
			return err
		}
		next.Trail = m.origin()
		_, err = e.append(ctx, next, v.at, m.trace, schemas.Expect{Filter: next.Subject(), Last: r.Seq})
		if err == nil || !errors.Is(err, schemas.ErrStale) {
			return err
		}
	}
}

// seen is what the release of in exposes its agent to.
func (l Limits) seen(agent schemas.Identity, in schemas.Intent, v verdict) schemas.Seen {
	return schemas.Seen{
		Action:  in.Action,
		Labels:  v.action.Labels,
		Session: sessionOf(agent, in),
		Until:   v.at.Add(l.Exposure + l.Exposure/16),
	}
}

// covered reports whether have says of seen all there is to say, up to until. It
// spares most writes of an agent that reads the same thing again and again.
func covered(have schemas.Exposure, seen schemas.Seen, until time.Time) bool {
	seen.Until = until
	return slices.ContainsFunc(have.Seen, func(s schemas.Seen) bool { return s.Covers(seen) })
}

// release returns the settlement that releases in.
func release(in schemas.Intent, v verdict) schemas.Settlement {
	by := v.at.Add(v.action.ExecuteBy)
	if expires := in.Expires(); expires.Before(by) {
		by = expires
	}
	return schemas.Settlement{Intent: in, Outcome: schemas.Release, ExecuteBy: by, Bundle: v.bundle, At: v.at, Trail: v.inputs()}
}

// refusal returns the settlement that refuses in because of f. Only a refusal by
// the rules tells the agent what their author wrote for it.
func refusal(in schemas.Intent, v verdict, f schemas.Fault) schemas.Settlement {
	s := schemas.Settlement{
		Intent:  in,
		Outcome: schemas.Refuse,
		Code:    f.Code,
		Detail:  f.Detail,
		Bundle:  v.bundle,
		At:      v.at,
		Trail:   v.inputs(),
	}
	if f.Code == schemas.CodePolicy {
		s.Tell = v.opinion.Tell
	}
	return s
}

var errOther = fmt.Errorf("%w for another intent or in another way", schemas.ErrClosed)
