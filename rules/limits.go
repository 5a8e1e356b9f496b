package rules

import (
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Limits bound what expressions may cost. Stages that share a bundle must share
// its limits, or they form different opinions.
type Limits struct {
	// Cost is what one expression may cost in units of CEL, whose price list is
	// pinned. If zero, it is 200,000: about 10 ms.
	Cost uint64

	// Time is what one call of [Bundle.Evaluate] may take. If zero, it is half a second:
	// forty times what the dearest expression costs, for a machine that is busy.
	Time time.Duration
}

func (l Limits) cost() uint64 {
	if l.Cost == 0 {
		return 200_000
	}
	return l.Cost
}

func (l Limits) time() time.Duration {
	if l.Time == 0 {
		return 500 * time.Millisecond
	}
	return l.Time
}

// Limits of what a bundle may hold.
const (
	maxBundleSize = 8 << 20
	maxFiles      = 1000
	maxPathSize   = 100
	maxPathDepth  = 8

	maxNesting  = 64     // of YAML nodes
	maxActions  = 4096   // in the catalog
	maxEntries  = 20_000 // in the policy
	maxPatterns = 64     // in one entry
	maxPerKind  = 256    // entries of one kind that match one action
	maxSchema   = 10_000 // parts of one schema, references followed
	maxSchemas  = 100_000
	maxChecked  = 16 << 20 // bytes of expressions, each as often as there are types it is checked with
	maxFields   = 200      // of a record whose type is inferred from several

	maxRisk = 1_000_000 // of one contribution
)

// Limits of what enters a record, in bytes of encoded JSON. With
// [schemas.MaxMatches] and [schemas.MaxApprovals] they keep an opinion small
// enough for the record of the largest intent.
const (
	maxReason   = 160
	maxTell     = 280
	maxEligible = 300
	maxOwner    = 64
	maxFailure  = 120

	maxRationale = 1000 // of which a record gets the beginning

	maxLabels  = 16 // distinct, in one catalog
	maxLabeled = 32 // actions with labels
)

// Limits of time spans.
const (
	maxTimeout  = 24 * time.Hour
	maxDeadline = schemas.MaxLifetime
)

// Limits of one expression.
const (
	maxExpression = 4096 // characters
	maxNodes      = 2000
	maxParens     = 250
	maxLoops      = 5 // nested, or one after the other
	maxRegex      = 500
	maxRange      = 10_000 // elements that lists.range gives
	maxIssues     = 5

	// checkEvery is how many steps of a loop run before the time is looked at.
	checkEvery = 64
)
