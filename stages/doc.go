// Package stages is what happens to an intent: it is observed, recommended on,
// parked or settled, decided on, claimed, and reported on. The safety of the gate
// is the table in lifecycle.go, and every way into it is in this package.
//
// Stages know nothing of NATS and keep nothing: what they know they read from
// the streams, so that a crash at any line loses nothing. Everything that can be
// delivered twice may be handled twice. What a stage is not sure of, it parks;
// when it cannot write or read, it returns an error and the message comes again.
//
// What an intent takes of budgets is on record before its release, so that all
// processes together keep a limit. What a reviewer approved in advance is a vote on
// what is parked, as far as the policy of that moment lets it, and never more.
//
// What a stage decides by rules and votes follows from what it leaves on record: [Again]
// decides it once more from that, to the same bytes. [Offline] judges without streams.
//
// What stages cannot promise is that a compromised stage keeps to them; package
// audit finds out if one does not.
package stages
