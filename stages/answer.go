package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	defaultPage = 50
	largestPage = 500
	largestWork = 100
)

// Registry is the directory with everyone in it.
type Registry interface {
	Directory

	// All returns everyone from outside, and the names that were removed.
	All() (present []schemas.Identity, removed []schemas.Name)

	// About returns what All says of one name and of the holder of one key.
	About(name schemas.Name, key string) (present []schemas.Identity, removed []schemas.Name)
}

// Answer answers questions and claims. Who asks is the name in the subject, which
// the broker let nobody else use; what is answered depends on that name's role
// alone. It writes nothing itself: claims are granted by the execute stage.
type Answer struct {
	Execute  *Execute
	Registry Registry

	// Conditions says how the gate is.
	Conditions func() []schemas.Condition

	// Embedded says that the broker is the gate's own.
	Embedded bool

	// Broker says how the broker keeps up.
	Broker func(ctx context.Context) (schemas.BrokerStatus, error)

	// Streams is where what was taken of budgets is found.
	Streams Streams

	// Bundle returns the archive that is stored under a digest.
	Bundle func(ctx context.Context, digest schemas.Digest) ([]byte, error)

	looking   looking
	balancing balancing
}

// Claim answers a claim on "claims.<executor>.<agent>.<intent>".
func (a *Answer) Claim(ctx context.Context, executor schemas.Name, k schemas.Key, q schemas.Question) schemas.Answer {
	claim, err := a.Execute.Claim(ctx, executor, k, q.Nonce)
	if err != nil {
		return schemas.Answer{Problem: schemas.ProblemOf(err)}
	}
	return schemas.Answer{Claim: &claim}
}

// Ask answers a question on "ask.<name>.<what>".
func (a *Answer) Ask(ctx context.Context, name schemas.Name, what string, q schemas.Question) schemas.Answer {
	answer, err := a.ask(ctx, name, what, q)
	if err != nil {
		return schemas.Answer{Problem: schemas.ProblemOf(err)}
	}
	return answer
}

func (a *Answer) ask(ctx context.Context, name schemas.Name, what string, q schemas.Question) (schemas.Answer, error) {
	asker, known := a.Registry.ByName(name)
	if !known {
		return schemas.Answer{}, fmt.Errorf("%s: %w", name, schemas.ErrDenied)
	}
	admin := asker.Role == schemas.RolePolicyAdmin || asker.Role == schemas.RoleIdentityAdmin
	switch {
	case what == schemas.AskStatus && asker.Role == schemas.RoleAgent:
		return a.status(ctx, asker, q)
	case what == schemas.AskHolds && asker.Role == schemas.RoleReviewer:
		return a.holds(asker, q)
	case what == schemas.AskHold && asker.Role == schemas.RoleReviewer:
		return a.hold(ctx, asker, q)
	case what == schemas.AskDecision && asker.Role == schemas.RoleReviewer:
		return a.ruling(ctx, asker, schemas.Decisions, q)
	case what == schemas.AskReport && asker.Role == schemas.RoleExecutor:
		return a.ruling(ctx, asker, schemas.Outcomes, q)
	case what == schemas.AskWork && asker.Role == schemas.RoleExecutor:
		return schemas.Answer{Work: a.Execute.Index.Work(asker.Systems, largestWork)}, nil
	case what == schemas.AskStanding && asker.Role == schemas.RoleReviewer:
		return a.standings(ctx, asker, q)
	case what == schemas.AskHistory && asker.Role == schemas.RoleReviewer:
		return a.history(ctx, asker, q)
	case what == schemas.AskList:
		return a.list(asker, q)
	case what == schemas.AskCatalog:
		return a.catalog(ctx, asker, q)
	case what == schemas.AskCheck && asker.Role == schemas.RoleAgent:
		return a.check(ctx, asker, q)
	case what == schemas.AskPolicies && admin:
		policies := a.Execute.Control.Policies()
		return schemas.Answer{Policies: &policies}, nil
	case what == schemas.AskBundle && (admin || asker.Role == schemas.RoleReviewer):
		return a.bundle(ctx, q)
	case what == schemas.AskIdentities && admin:
		return a.identities(q), nil
	case what == schemas.AskGate && admin:
		return a.gate(ctx), nil
	case what == schemas.AskBudgets && admin:
		return a.budgets(ctx, q, mostKeys)
	case what == schemas.AskShow:
		return a.show(ctx, asker, q)
	}
	return schemas.Answer{}, fmt.Errorf("%s may not ask for %q: %w", asker.Role, what, schemas.ErrDenied)
}

func (a *Answer) identities(q schemas.Question) schemas.Answer {
	var answer schemas.Answer
	if q.Name == "" {
		answer.Identities, answer.Removed = a.Registry.All()
	} else {
		answer.Identities, answer.Removed = a.Registry.About(q.Name, q.Key)
	}
	return answer
}

func (a *Answer) holds(asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	queues := asker.Queues
	if q.Queue != "" {
		if !slices.Contains(queues, q.Queue) {
			return schemas.Answer{}, fmt.Errorf("queue %s: %w", q.Queue, schemas.ErrDenied)
		}
		queues = []schemas.Name{q.Queue}
	}
	page, err := a.Execute.Index.Page(queues, pageSize(q), q.After)
	if err != nil {
		return schemas.Answer{}, err
	}
	return schemas.Answer{Holds: &page}, nil
}

// pageSize is how long a page may be.
func pageSize(q schemas.Question) int {
	if q.Limit <= 0 {
		return defaultPage
	}
	return min(q.Limit, largestPage)
}

// hold returns the current record of a hold, whole: what a reviewer is shown, and
// what a decision names, are the same bytes.
func (a *Answer) hold(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	k, err := a.key(asker, q)
	if err != nil {
		return schemas.Answer{}, err
	}
	h, r, err := a.Execute.hold(ctx, k)
	if err != nil {
		return schemas.Answer{}, hide(err, k)
	}
	if !slices.Contains(asker.Queues, h.Queue) {
		return schemas.Answer{}, fmt.Errorf("%s: %w", k, schemas.ErrNotFound)
	}
	c := schemas.CopyOf(r)
	return schemas.Answer{Hold: &c, Looking: a.looking.look(k, asker.Name, a.Execute.now())}, nil
}

// key returns the intent that a question is about. A bare id is completed if it
// is unique among what the asker may see of what waits.
func (a *Answer) key(asker schemas.Identity, q schemas.Question) (schemas.Key, error) {
	id, err := schemas.ParseIntentID(string(q.Intent))
	if err != nil {
		return schemas.Key{}, err
	}
	if asker.Role == schemas.RoleAgent {
		if q.Agent != "" && q.Agent != asker.Name {
			return schemas.Key{}, fmt.Errorf("%s/%s: %w", q.Agent, id, schemas.ErrNotFound)
		}
		return schemas.Key{Agent: asker.Name, ID: id}, nil
	}
	if q.Agent != "" {
		agent, err := schemas.ParseName(string(q.Agent))
		return schemas.Key{Agent: agent, ID: id}, err
	}
	return a.complete(asker, id)
}

func (a *Answer) complete(asker schemas.Identity, id schemas.IntentID) (schemas.Key, error) {
	found := a.Execute.Index.Find(id)
	if asker.Role == schemas.RoleReviewer {
		found = slices.DeleteFunc(found, func(k schemas.Key) bool {
			line, _ := a.Execute.Index.Line(k)
			return line.Queue != "" && !slices.Contains(asker.Queues, line.Queue)
		})
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return schemas.Key{}, fmt.Errorf("%s: %w among what waits; give AGENT/ID", id, schemas.ErrNotFound)
	default:
		return schemas.Key{}, fmt.Errorf("%s: %w: the id of several agents; give AGENT/ID", id, schemas.ErrInvalid)
	}
}

// hide says of something that is not there only that.
func hide(err error, k schemas.Key) error {
	if errors.Is(err, schemas.ErrNotFound) {
		return fmt.Errorf("%s: %w", k, schemas.ErrNotFound)
	}
	return err
}
