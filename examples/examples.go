// Package examples holds bundles to start from. Each is a directory that
// "holdpoint serve --bundle" takes as it is.
package examples

import "embed"

// CustomerOperations is the bundle that "holdpoint demo" runs on.
//
//go:embed customer-operations
var CustomerOperations embed.FS
