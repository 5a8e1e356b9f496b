// Package broker is NATS and nothing else: the streams, the accounts that are the
// wall between the roles, the permissions that are its doors, and reading and
// writing records. NATS errors get their meaning here and nowhere else.
//
// It decides nothing about intents. What it promises is where a message can go:
// every identity can publish only what its role and name allow, and nobody
// outside the gateway is a user of the accounts that hold the streams.
package broker
