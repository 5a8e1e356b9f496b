package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"time"
)

const (
	// MaxAmount is more than any limit, and where sums stop: it is written exactly
	// in JSON.
	MaxAmount = 1 << 53

	// MaxReserved bounds the reservations of a budget that are not folded yet, so
	// that its record fits the stream. More than FoldFrom of them are worth asking
	// which are settled.
	MaxReserved = 128
	FoldFrom    = 16

	// MaxBudgets is how many budgets of a policy may be about one action.
	MaxBudgets = 3

	// MaxWindow is the longest window of a budget.
	MaxWindow = 31 * 24 * time.Hour

	// MaxBudgetKey is how long the key of a budget may be, in bytes of JSON.
	MaxBudgetKey = 256
)

// Budget is what was taken of one limit of the policy, for one key: the latest
// record under a subject is all there is to know. What an intent takes is reserved
// before it is released, and counts until the window is over, unless the intent is
// refused: then it counts no more, whether or not a record says so yet.
type Budget struct {
	// Budget is the id of the budget in the policy, and Key for what it counts
	// apart, such as the name of an agent.
	Budget string `json:"budget"`
	Key    string `json:"key"`

	// Limit is what may be taken, and Since the beginning of the window, as the
	// policy had them at the time At.
	Limit int64     `json:"limit"`
	Since time.Time `json:"since"`

	// Spent is what released intents took, the oldest first. Amounts that were
	// reserved within a small part of the window stand together, under the time of
	// the latest.
	Spent []Spent `json:"spent,omitempty"`

	// Reserved is what intents took that may not be settled yet.
	Reserved []Reservation `json:"reserved,omitempty"`

	// Returned are the reservations that are left out from this record on, because
	// their intents were refused.
	Returned []Reservation `json:"returned,omitempty"`

	At time.Time `json:"at"`

	// Nonce is random: an agent is shown the hash of the record, and may know all of
	// it but the numbers.
	Nonce string `json:"nonce,omitzero"`

	// Trail names the intent because of which the record was written.
	Trail []Pointer `json:"trail,omitempty"`
}

// Spent is an amount, and when the latest of it was reserved.
type Spent struct {
	Amount int64     `json:"amount"`
	At     time.Time `json:"at"`
}

// Reservation is what one intent takes of a budget.
type Reservation struct {
	Agent  Name      `json:"agent"`
	Intent IntentID  `json:"intent"`
	Digest Digest    `json:"digest"`
	Amount int64     `json:"amount"`
	At     time.Time `json:"at"`

	// Beyond says that it may go beyond the limit, because somebody approved it.
	Beyond bool `json:"beyond,omitzero"`
}

// Taken is what others had taken of a budget when an intent was judged. If it is
// Reserved, the intent has its own share already.
type Taken struct {
	Budget   string `json:"budget"`
	Amount   int64  `json:"amount"`
	Reserved bool   `json:"reserved,omitzero"`
}

// Key returns the key of the intent.
func (r Reservation) Key() Key { return Key{Agent: r.Agent, ID: r.Intent} }

// Of reports whether r is what in takes.
func (r Reservation) Of(in Intent) bool { return r.Key() == in.Key() && r.Digest == in.Digest }

// Same reports whether r and other are what the same intent takes.
func (r Reservation) Same(other Reservation) bool {
	return r.Key() == other.Key() && r.Digest == other.Digest
}

// Reservation returns what in takes of the budget, if it was reserved and is not
// folded yet.
func (b Budget) Reservation(in Intent) (Reservation, bool) {
	i := slices.IndexFunc(b.Reserved, func(r Reservation) bool { return r.Of(in) })
	if i < 0 {
		return Reservation{}, false
	}
	return b.Reserved[i], true
}

// Taken returns what was taken since a moment by all but the intent in.
func (b Budget) Taken(since time.Time, in Intent) int64 {
	sum := int64(0)
	for s := range b.since(since, in) {
		sum = AddAmounts(sum, s.Amount)
	}
	return sum
}

// Oldest returns when the oldest of what was taken since a moment was, or the zero time
// if nothing was.
func (b Budget) Oldest(since time.Time) (oldest time.Time) {
	for s := range b.since(since, Intent{}) {
		if oldest.IsZero() || s.At.Before(oldest) {
			oldest = s.At
		}
	}
	return oldest
}

// since yields what was taken since a moment by all but the intent in.
func (b Budget) since(since time.Time, in Intent) iter.Seq[Spent] {
	return func(yield func(Spent) bool) {
		for _, s := range b.Spent {
			if !s.At.Before(since) && !yield(s) {
				return
			}
		}
		for _, r := range b.Reserved {
			if !r.At.Before(since) && !r.Of(in) && !yield(Spent{Amount: r.Amount, At: r.At}) {
				return
			}
		}
	}
}

// AddAmounts returns the sum, which stops at [MaxAmount].
func AddAmounts(a, b int64) int64 { return min(a+b, MaxAmount) }

// Settle returns b with what became of reservations: the verdict gives the outcome
// of those that are settled, and false of others. What was released is spent, in
// parts of the window as long as grain; what was refused is returned.
func (b Budget) Settle(grain time.Duration, verdict func(Reservation) (Outcome, bool)) Budget {
	b.Spent, b.Returned = slices.Clone(b.Spent), nil
	var open []Reservation
	for _, r := range b.Reserved {
		outcome, settled := verdict(r)
		switch {
		case !settled:
			open = append(open, r)
		case outcome == Release:
			b.spend(r, grain)
		default:
			b.Returned = append(b.Returned, r)
		}
	}
	b.Reserved = open
	slices.SortFunc(b.Spent, func(a, b Spent) int { return a.At.Compare(b.At) })
	return b
}

// spend adds a reservation to what was spent in the same part of the window, and not
// to what counts no more.
func (b *Budget) spend(r Reservation, grain time.Duration) {
	part, over := r.At.Truncate(grain), r.At.Before(b.Since)
	for i, s := range b.Spent {
		if s.At.Truncate(grain).Equal(part) && s.At.Before(b.Since) == over {
			if r.At.After(s.At) {
				b.Spent[i].At = r.At
			}
			b.Spent[i].Amount = AddAmounts(s.Amount, r.Amount)
			return
		}
	}
	b.Spent = append(b.Spent, Spent{Amount: r.Amount, At: r.At})
}

// Reserve returns b with one more reservation, or another one of the same intent, and
// without what was taken before a moment: nobody counts that any more, whatever their
// clock says. It is an [ErrInvalid] if there are too many that are not settled.
func (b Budget) Reserve(r Reservation, forget time.Time) (Budget, error) {
	over := func(at time.Time) bool { return at.Before(forget) }
	b.Spent = slices.DeleteFunc(slices.Clone(b.Spent), func(s Spent) bool { return over(s.At) })
	b.Reserved = slices.DeleteFunc(slices.Clone(b.Reserved), func(have Reservation) bool {
		return over(have.At) || have.Same(r)
	})
	if len(b.Reserved) >= MaxReserved {
		return b, invalid("budget %s: %d intents that took of it are not settled yet", b.Budget, len(b.Reserved))
	}
	b.Reserved = append(b.Reserved, r)
	return b, nil
}

// Subject returns the one subject of a budget and a key. A key may be any text, so
// that its hash stands for it.
func (b Budget) Subject() string {
	return Subject{Kind: "budgets", Budget: b.Budget, Key: hashOfKey(b.Key)}.String()
}

func hashOfKey(key string) string {
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:16])
}

func (Budget) Type() string { return "budget.v1" }
