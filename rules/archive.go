package rules

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxArchive is the size of the archive of the largest bundle: for each file a
// header and what fills its last block, and two blocks at the end.
const maxArchive = maxBundleSize + maxFiles*2*512 + 20*512

// pack returns the files as a tar archive that depends on their paths and
// contents alone.
func pack(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     f.path,
			Size:     int64(len(f.content)),
			Mode:     0o644,
			ModTime:  time.Unix(0, 0),
			Format:   tar.FormatUSTAR,
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.path, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing the bundle: %w", err)
	}
	return b.Bytes(), nil
}

// unpack returns the files of an archive that pack made. Of any other it notes
// what is wrong: the same bundle has one archive, so that there is no room for
// links, paths that lead out, files given twice or anything behind the end.
func unpack(archive []byte, notes *notebook) []file {
	if len(archive) > maxArchive {
		notes.file("", "the archive is larger than a bundle can be")
		return nil
	}
	c := &collection{notes: notes}
	if problem := c.unpack(tar.NewReader(bytes.NewReader(archive))); problem != "" {
		notes.file("", "archive: %s", problem)
		return nil
	}
	files := c.done()
	if again, err := pack(files); len(notes.found) == 0 && (err != nil || !bytes.Equal(again, archive)) {
		notes.file("", "archive: not in the form that holdpoint writes")
	}
	return files
}

func (c *collection) unpack(r *tar.Reader) (problem string) {
	for {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return ""
		case err != nil:
			return err.Error()
		case h.Typeflag != tar.TypeReg:
			return fmt.Sprintf("%q is not a regular file: a bundle has no links", h.Name)
		}
		content, err := io.ReadAll(io.LimitReader(r, maxBundleSize+1))
		if err != nil {
			return err.Error()
		}
		if !c.add(h.Name, content) {
			return "" // noted
		}
	}
}
