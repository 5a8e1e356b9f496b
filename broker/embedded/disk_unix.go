//go:build linux || darwin

package embedded

import "syscall"

// free returns the room that is left on the file system of dir, in bytes; 0 if
// that is not known.
func free(dir string) uint64 {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize)
}
