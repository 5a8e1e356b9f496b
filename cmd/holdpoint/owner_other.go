//go:build !unix

package main

import "io/fs"

// anothers returns false: whose file it is is not known here.
func anothers(fs.FileInfo) bool { return false }
