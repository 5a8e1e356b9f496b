// Package replay says what a bundle would have done with calls that agents made
// without a gate, or at one long ago: each line of a log is judged by the code of the
// gate, in the order of its session, and counted. Its memory does not grow with the
// log, only with how many agents are in it.
//
// What it cannot say is what would have happened next: an agent whose call was
// parked or refused might have gone on otherwise than the log does. It takes a
// parked call for one that a person released and a refused one for one that gave
// the agent nothing.
//
// # Lines
//
// A log has one call a line, a JSON object:
//
//	action    "<system>.<operation>"; required
//	params    the parameters, an object; none if missing
//	session   what belongs together; if missing, everything of that agent does
//	agent     who made the call; "agent" if missing
//	seq       number of the call in its session, from 0; counted if missing
//	observed  actions whose results the agent had been given before
//	goal      what it was asked to do
//	time      RFC 3339; if missing, the call counts as made now
//
// Other fields are passed over. What an agent has been given is taken from
// observed and from the calls before in its session.
//
// # History
//
// A [Backtest] does the same with the intents of a gate, by what was observed of them
// then, and compares that with what the gate first did with them. It reads AUDIT, or an
// export of it: an [Entry] a line, as "holdpoint audit tail -o json" writes it.
package replay
