// Package schemas holds the words that every part of holdpoint uses: the names,
// the messages, their subjects and digests, and the reasons a thing can fail.
// What one part writes, every other part reads the same way, or refuses.
//
// It knows nothing of NATS, CEL or the clock. It decodes strictly: a message
// with an unknown field, a key given twice or a number that JSON readers do not
// agree on is refused with a reason that names the field.
//
// # Words
//
// An agent publishes an intent: its proposal to perform one action with these
// parameters. An intent is known by agent and id together ([Key]), and its
// [Digest] is what everything downstream binds to.
//
// The gate answers with an [Observation] (what is known about the intent), a
// [Recommendation] (what the rules say), perhaps a [Hold] (it waits for a
// person), and one [Settlement]: released or refused, exactly once, ever. A
// reviewer's signed [Decision] is a vote on a hold. With a [Standing] approval a
// reviewer decides in advance on intents that are alike, until its [Revocation].
//
// An executor claims a released intent and receives a [Grant]: it alone may
// perform it, until its lease ends. What it reports is a [Report]. Decisions and
// reports that do not count are answered with a [Rejection].
//
// What an agent has been given by what was released is its [Exposure]. What released
// intents took of a limit of the policy is a [Budget]; each has its [Reservation].
//
// Outcomes are verbs (park, release, refuse), states are participles (parked,
// released, refused). A [Record] is a message as the broker keeps it, and a
// [Pointer] names one by stream, sequence and hash: the pointers of an intent's
// records are its trail.
package schemas
