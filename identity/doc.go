// Package identity knows who someone is: the registry of identities, folded from
// the records of CONTROL, and the key files that their owners keep.
//
// The gate holds public keys only. A name belongs to its first holder for ever:
// it is never registered again, not even after removal.
package identity
