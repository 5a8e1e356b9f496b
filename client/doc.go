// Package client is what agents, reviewers, executors, auditors and operators
// written in Go import to use a gate. It is light: no server, no rules.
//
// It believes records, not messages: a notice only makes it look, and what it
// returns it has read from the stream and checked against its digest.
//
// It cannot make an action happen once where the system behind it cannot: an
// executor that dies at work leaves the intent in doubt unless the action is
// idempotent.
package client
