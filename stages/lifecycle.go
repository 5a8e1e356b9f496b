package stages

import (
	"fmt"

	"github.com/holdpoint/holdpoint/schemas"
)

// An event is something that may happen to an intent.
type event uint8

const (
	rulesRelease event = iota // the rules of all checkpoints let it pass
	rulesPark                 // the rules want a person, or are not sure
	rulesRefuse               // the rules refuse it, or it can never be accepted
	approved                  // its approvals are complete, and the rules of this moment let it pass
	denied                    // an eligible reviewer said no
	expired                   // nobody decided in time
	withdrawn                 // its agent took it back
	claimed                   // an executor asks for it
	unclaimed                 // no executor asked for it in time
	reportDone                // the executor that holds the grant says that it is done
	reportFailed              // … that it failed
	leaseEnded                // the executor that holds the grant said nothing in time
	claimedAgain              // … and another may try, because the action is idempotent
	wasDone                   // a reviewer says of an intent in doubt that it was done
	wasNotDone                // … that it was not
	retry                     // … that it is to be tried again
	lastEvent
)

// transitions is the whole safety argument: what may happen to an intent, and
// what becomes of it. What is not here cannot happen. Nothing leaves refused,
// lapsed, done or failed, and there are two ways into released: the rules and
// a decision.
var transitions = map[schemas.State]map[event]schemas.State{
	schemas.Proposed: {
		rulesRelease: schemas.Released,
		rulesPark:    schemas.Parked,
		rulesRefuse:  schemas.Refused,
		expired:      schemas.Refused,
		withdrawn:    schemas.Refused,
	},
	schemas.Parked: {
		rulesPark:   schemas.Parked,
		approved:    schemas.Released,
		rulesRefuse: schemas.Refused,
		denied:      schemas.Refused,
		expired:     schemas.Refused,
		withdrawn:   schemas.Refused,
	},
	schemas.Released: {
		claimed:   schemas.Granted,
		unclaimed: schemas.Lapsed,
	},
	schemas.Granted: {
		reportDone:   schemas.Done,
		reportFailed: schemas.Failed,
		leaseEnded:   schemas.InDoubt,
		claimedAgain: schemas.Granted,
	},
	schemas.InDoubt: {
		reportDone:   schemas.Done,
		reportFailed: schemas.Failed,
		wasDone:      schemas.Done,
		wasNotDone:   schemas.Failed,
		retry:        retried,
	},
	retried: {
		claimed:      schemas.Granted,
		unclaimed:    schemas.Lapsed,
		reportDone:   schemas.Done, // late, of the attempt before
		reportFailed: schemas.Failed,
	},
}

// retried is released, as everybody else sees it: again, because a reviewer said
// so of an intent in doubt.
const retried schemas.State = "retried"

// stateOf returns the state of a hold as transitions has it.
func stateOf(h schemas.Hold) schemas.State {
	if h.State == schemas.Released && h.Doubt != nil {
		return retried
	}
	return h.State
}

// shown returns a state as records have it.
func shown(s schemas.State) schemas.State {
	if s == retried {
		return schemas.Released
	}
	return s
}

// after returns the state of an intent in state s after e, or an ErrClosed if e
// cannot happen to it any more, or not yet.
func after(s schemas.State, e event) (schemas.State, error) {
	next, ok := transitions[s][e]
	if !ok {
		return s, fmt.Errorf("%w: %s cannot follow on %s", schemas.ErrClosed, e, s)
	}
	return next, nil
}

// eventOf returns the event by which s settles an intent that was in state from.
func eventOf(from schemas.State, s schemas.Settlement) event {
	switch {
	case s.Outcome == schemas.Release && from == schemas.Parked:
		return approved
	case s.Outcome == schemas.Release:
		return rulesRelease
	}
	switch s.Code {
	case schemas.CodeDenied:
		return denied
	case schemas.CodeExpired:
		return expired
	case schemas.CodeWithdrawn:
		return withdrawn
	default:
		return rulesRefuse
	}
}

func (e event) String() string {
	names := [lastEvent]string{
		"release by the rules", "park by the rules", "refusal by the rules", "approval", "denial", "expiry", "withdrawal",
		"claim", "lapse", "report of success", "report of failure", "end of the lease", "another claim",
		"word that it was done", "word that it was not done", "retry",
	}
	return names[e]
}
