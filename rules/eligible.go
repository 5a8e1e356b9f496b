package rules

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"github.com/holdpoint/holdpoint/schemas"
)

// Reviewer is what an expression may know about whoever decides.
type Reviewer struct {
	Name    schemas.Name
	Person  string
	Groups  []string
	Service bool
}

// Eligibility evaluates the eligible expressions of approvals. They travel in
// records, and so they need no bundle.
//
// The zero value is ready. Its methods may be called concurrently.
type Eligibility struct {
	// Limits bound each evaluation.
	Limits Limits

	// mu guards what follows. It is held while an expression is compiled, so that
	// many who ask the same at once compile it once.
	mu       sync.Mutex
	env      *environment
	compiled map[string]eligible
}

// eligible is an expression, or why it is none.
type eligible struct {
	program *program
	err     error
}

// maxCompiled is how many expressions are kept. There are as many as the bundles
// of the last days have approvals.
const maxCompiled = 1024

// Eligible reports whether reviewer r may decide on an intent of the agent for
// the action, by the expression of an approval. An empty expression lets every
// reviewer of the queue. With an error, r may not.
func (e *Eligibility) Eligible(ctx context.Context, expr string, r Reviewer, agent schemas.AgentFacts, a schemas.Action) (bool, error) {
	if expr == "" {
		return true, nil
	}
	p, err := e.program(expr)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.Limits.time())
	defer cancel()
	v, err := p.run(ctx, variables{
		"reviewer": &reviewerValue{Name: string(r.Name), Person: r.Person, Groups: r.Groups, Service: r.Service},
		"agent":    newAgent(agent),
		"action":   &actionName{Name: string(a), System: a.System(), Operation: a.Operation()},
	})
	if err != nil {
		return false, fmt.Errorf("evaluating whether %s is eligible: %s", r.Name, clip(oneLine(err.Error()), maxFailure))
	}
	yes, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("evaluating whether %s is eligible: %w", r.Name, wrongType(v, "true or false"))
	}
	return bool(yes), nil
}

// variables are an activation.
type variables map[string]any

// ResolveName implements cel.Activation.
func (v variables) ResolveName(name string) (any, bool) {
	value, ok := v[name]
	return value, ok
}

// Parent implements cel.Activation.
func (v variables) Parent() cel.Activation { return nil }

// program returns the program of an expression. What cannot be compiled is
// remembered too.
func (e *Eligibility) program(expr string) (*program, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if found, ok := e.compiled[expr]; ok {
		return found.program, found.err
	}
	if len(expr) > maxExpression {
		return nil, fmt.Errorf("eligible: %w: longer than %d bytes", schemas.ErrInvalid, maxExpression)
	}
	if e.env == nil {
		env, err := eligibleEnvironment(e.Limits)
		if err != nil {
			return nil, err
		}
		e.env = env
	}
	if e.compiled == nil || len(e.compiled) == maxCompiled {
		e.compiled = map[string]eligible{}
	}
	p, issues := e.env.compile(expr, truth, nil)
	found := eligible{program: p, err: problem(issues)}
	e.compiled[expr] = found
	return found.program, found.err
}

// problem returns issues as an error.
func problem(issues []issue) error {
	if len(issues) == 0 {
		return nil
	}
	err := errors.New(clip(oneLine(issues[0].text), maxFailure))
	return fmt.Errorf("eligible: %w: at character %d: %w", schemas.ErrInvalid, issues[0].offset+1, err)
}
