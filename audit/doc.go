// Package audit verifies the record of a gate. From AUDIT alone, without the
// broker and without trusting any stage, it finds what a gate that keeps its
// promises does not write: two verdicts on one intent, a release that nobody
// recommended, approved or asked for, an approval that nobody signed, a denial
// that was passed over, a standing approval that was revoked or used too often, more
// taken of a budget than anybody approved, a grant too many, an answer that is
// missing, a record that is missing.
//
// AUDIT holds every record of its origins, each origin in order, but what one
// origin holds may stand before what it names in another. So a record is judged
// when AUDIT had time to copy everything that it may name ([Config.Lag]). What
// is still missing when the reading ends is a finding if it is older than that,
// and pending if it is not. Memory is taken by intents that are open or changed
// within the lag, and by what was sent and not answered yet; of an intent that is
// over, of each change of an agent's exposure, and of the last record of each budget,
// some sixty bytes remain, to know it again; of what budgets and standing approvals
// let through, all that counts: for a month, and for ten days.
//
// Nobody outside the gate can make it accuse the gate: whatever an agent, a
// reviewer or an executor stores is either answered by the gate, or pending.
//
// What audit cannot show:
//
//   - what was never written. A compromised execute stage can refuse, delay and
//     leave undone as it likes; what it leaves unanswered is a finding after a
//     day, and pending until then.
//   - that the rules and the catalog say what a record claims. They are not
//     evaluated here, neither for the advice nor for the release and the claim:
//     not the outcome, the risk, the queue of a doubt, the lease, or that an action
//     is idempotent; what an intent takes of which budgets, and what a standing
//     approval may cover; nor that an agent's exposure and rate were what observe says.
//   - that an operator, an agent or an executor wrote what stands under its name.
//     The broker let nobody else publish there; but a compromised stage is its
//     user too, and can have it deliver what it takes from its input to a subject
//     of another. What reviewers decide is signed, the rest is not.
//   - when something happened, to the minute. Times are the words of those who
//     wrote them. Those of releases, grants and exposures are held against each
//     other and against when AUDIT got them, all others against the times of the
//     records that they name.
//   - the order of a report and a grant that lie closer together than clocks
//     agree.
//   - that AUDIT is what the broker copied. Whoever controls its account can
//     write another history, or cut off its end; sealing is for that.
package audit
