// Package audit verifies the record of a gate. From AUDIT alone, without the
// broker and without trusting any stage, it finds what a gate that keeps its
// promises does not write: two verdicts on one intent, a release that nobody
// recommended, approved or asked for, an approval that nobody signed, a grant too
// many, an answer that is missing.
//
// AUDIT holds every record of its origins, each origin in order, but what one
// origin holds may stand before what it names in another. So a record is judged
// when AUDIT had time to copy everything that it may name ([Config.Lag]). What
// is still missing when the reading ends is a finding if it is older than that,
// and pending if it is not. Memory is taken by intents that are open or changed
// within the lag; of one that is over some fifty bytes remain, to know it again.
//
// What audit cannot show:
//
//   - what was never written. A compromised execute stage can refuse, delay and
//     leave undone as it likes.
//   - that the rules say what a recommendation claims. They are not evaluated
//     again, neither for the recommendation nor for the release and the claim.
//   - when something happened. Times are the words of those who wrote them; a
//     stage that gives its records a false time escapes what depends on time:
//     freeze, removal, expiry, lease. It is held only against the times of the
//     records that it names.
//   - the order of a report and a grant that lie closer together than clocks
//     agree.
//   - that AUDIT is what the broker copied. Whoever controls its account can
//     write another history; sealing is for that.
package audit
