//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// anothers reports whether a file belongs to another user, who may open it whatever its
// rights are.
func anothers(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) != os.Geteuid()
}
