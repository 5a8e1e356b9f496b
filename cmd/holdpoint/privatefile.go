package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// openPrivate opens a file to write what agents asked for, or makes one that only its
// owner may open. It changes nothing in one that is there.
func openPrivate(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag|os.O_CREATE, 0o600)
}

// checkPrivate makes sure that nobody else may open what is written, whoever made the file.
// What is no file, such as a pipe, has rights of its own.
func checkPrivate(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || runtime.GOOS == "windows":
		return nil
	case anothers(info): // root may write into it all the same
		return errors.New("it belongs to another user, who may open it")
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may open it (%s); \"chmod 600\" keeps them out", info.Mode().Perm())
	}
	return nil
}
