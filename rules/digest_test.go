package rules_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"pgregory.net/rapid"
)

// TestDigest changes one thing in a bundle: its digest changes with the content,
// and with nothing else.
func TestDigest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir := files("rules: []\n")
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			content := rapid.StringMatching(`[a-z: \n]{0,20}`).Draw(t, "content")
			dir[fmt.Sprintf("cases/%d.txt", i)] = &fstest.MapFile{Data: []byte(content)}
		}
		before := digestOf(t, dir)
		path := rapid.SampledFrom(slices.Sorted(maps.Keys(dir))).Draw(t, "path")
		old := dir[path]
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			dir[path] = &fstest.MapFile{Data: old.Data, ModTime: old.ModTime.AddDate(1, 0, 0), Mode: 0o755}
			if after := digestOf(t, dir); after != before {
				t.Errorf("after touching %s: got %s, want %s", path, after, before)
			}
			return
		case 1:
			dir[path] = &fstest.MapFile{Data: append(slices.Clone(old.Data), '\n')}
		case 2:
			dir["cases/new.txt"] = &fstest.MapFile{}
		case 3:
			dir["cases/moved.txt"] = old
			if strings.HasPrefix(path, "cases/") {
				delete(dir, path)
			}
		}
		if after := digestOf(t, dir); after == before {
			t.Errorf("after changing %s: the digest is still %s", path, after)
		}
	})
}

func digestOf(t *rapid.T, dir fstest.MapFS) schemas.Digest {
	b, err := rules.Load(dir)
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	again, err := rules.Read(b.Archive())
	if err != nil {
		t.Fatalf("reading the archive: %v", err)
	}
	if again.Digest() != b.Digest() {
		t.Fatalf("digest of the archive: got %s, want %s", again.Digest(), b.Digest())
	}
	return b.Digest()
}
