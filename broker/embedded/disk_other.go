//go:build !linux && !darwin

package embedded

// free returns 0: the room that is left is not known here.
func free(string) uint64 { return 0 }
