package schemas

import "time"

// GateStatus is what operators see of a running gate.
type GateStatus struct {
	Gateway    Name        `json:"gateway"`
	Bundle     Digest      `json:"bundle,omitzero"`
	Embedded   bool        `json:"embedded,omitzero"` // its broker is its own
	Freezes    []Freeze    `json:"freezes,omitempty"`
	Identities int         `json:"identities"`
	Open       int         `json:"open"`
	Oldest     time.Time   `json:"oldest,omitzero"` // of those, when it was proposed
	Released   int         `json:"released"`        // and not claimed yet
	Granted    int         `json:"granted"`         // and not reported yet
	InDoubt    int         `json:"in_doubt"`
	Health     []Condition `json:"health"`

	Queues  []Backlog     `json:"queues,omitempty"`  // what waits for reviewers
	Systems []Backlog     `json:"systems,omitempty"` // what waits for executors
	Broker  *BrokerStatus `json:"broker,omitempty"`  // nothing if it does not answer
}

// Backlog is what waits in one queue, or for one system.
type Backlog struct {
	Name   string    `json:"name"`
	Open   int       `json:"open"`
	Oldest time.Time `json:"oldest"` // when the oldest was proposed, or released
}

// BrokerStatus is how the broker keeps up.
type BrokerStatus struct {
	Stages  []StageStatus  `json:"stages"`
	Streams []StreamStatus `json:"streams"`

	// AuditBytes is the size of AUDIT, AuditMaxBytes what it may grow to, 0
	// meaning no limit.
	AuditRecords  uint64 `json:"audit_records"`
	AuditBytes    uint64 `json:"audit_bytes"`
	AuditMaxBytes int64  `json:"audit_max_bytes,omitzero"`

	// FreeBytes is the room that is left where the broker keeps its data; 0 if
	// that is not known.
	FreeBytes uint64 `json:"free_bytes,omitzero"`
}

// StageStatus is the work of one stage on one stream.
type StageStatus struct {
	Stage       Role   `json:"stage"`
	Stream      Stream `json:"stream"`
	Waiting     uint64 `json:"waiting"`     // messages that nobody took yet
	Taken       int    `json:"taken"`       // … that are being handled
	Redelivered int    `json:"redelivered"` // … of those, for another time
}

// StreamStatus is the size of a stream, and how far AUDIT is behind it.
type StreamStatus struct {
	Stream  Stream `json:"stream"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
	Behind  uint64 `json:"behind"` // records that AUDIT has not copied yet
}

// Condition is one thing that a stage needs before it releases anything.
type Condition struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	Detail  string `json:"detail,omitzero"`
}

// Policies is which bundle is active, and how it came to that.
type Policies struct {
	Active Digest      `json:"active,omitzero"`
	Loaded bool        `json:"loaded"`          // rules are taken from it
	Quorum int         `json:"quorum"`          // how many policy-admins the next one needs
	Shadow Digest      `json:"shadow,omitzero"` // evaluated beside it
	Past   []Activated `json:"past,omitempty"`  // the latest first
}

// BudgetPage is a page of what is taken of the budgets of the active bundle, the
// fullest first.
type BudgetPage struct {
	Bundle  Digest       `json:"bundle"`
	Budgets []BudgetLine `json:"budgets"`
	Total   int          `json:"total"` // those on other pages, too

	// Unread is how many keys were not looked at, because there are too many.
	Unread int `json:"unread,omitzero"`

	// After is the cursor of the next page; empty on the last.
	After string `json:"after,omitzero"`
}

// BudgetLine is what is taken of a budget, for one key: by what the gate would judge
// the next intent that needs all of it.
type BudgetLine struct {
	Budget string `json:"budget"`
	Key    string `json:"key"`

	// Window is a time span before now, such as 24h, or the hour, day, week or month
	// of UTC that now is in.
	Window string `json:"window"`

	Limit int64 `json:"limit"`
	Taken int64 `json:"taken"`
	Left  int64 `json:"left"`

	// Reserved is how much of what is taken is that of intents that are not settled.
	Reserved int64 `json:"reserved"`

	// Back is how much of what is taken counts no more from BackAt on, if nobody
	// takes more.
	Back   int64     `json:"back"`
	BackAt time.Time `json:"back_at,omitzero"`

	// Beyond is what becomes of an intent that goes beyond the limit.
	Beyond Outcome `json:"beyond"`

	// Agent and Intent name the intent that took of it last.
	Agent  Name     `json:"agent,omitzero"`
	Intent IntentID `json:"intent,omitzero"`
}

// Piece is a part of a bundle's archive.
type Piece struct {
	Size   int    `json:"size"`   // of the whole archive
	Offset int    `json:"offset"` // where this part begins
	Data   []byte `json:"data"`
}
