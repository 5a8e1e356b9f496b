package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzKeyFile: whatever a file says, it is refused, or it is a key file that reads
// the same when it is written again.
func FuzzKeyFile(f *testing.F) {
	for _, k := range []KeyFile{
		{Name: "ann", Role: schemas.RoleReviewer, Queues: []schemas.Name{"a", "b"}},
		{Name: "run", Role: schemas.RoleExecutor, Systems: []string{"shop"}, Server: "tls://127.0.0.1:4222,tls://127.0.0.1:4223"},
	} {
		fresh, err := NewKeyFile(k.Name, k.Role)
		if err != nil {
			f.Fatal(err)
		}
		k.Key = fresh.Key
		text, err := k.text()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(append(text, text...))
		f.Add([]byte(strings.ReplaceAll(string(text), "\n", "\r\n")))
		f.Add([]byte(strings.ReplaceAll(string(text), ": ", ":")))
		f.Add([]byte(strings.Replace(string(text), "# public", "#systems\n# public", 1)))
	}
	f.Add([]byte("# name: Ann\n# role:\n" + strings.Repeat("#", 70_000)))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKeyFile(text)
		if err != nil {
			if !errors.Is(err, schemas.ErrInvalid) {
				t.Errorf("%q: %v, want that it is invalid", text, err)
			}
			return
		}
		written, err := k.text()
		if err != nil {
			t.Fatalf("%q: writing it: %v", text, err)
		}
		back, err := parseKeyFile(written)
		if err != nil {
			t.Fatalf("%q: reading %q: %v", text, written, err)
		}
		a, b := public(t, k), public(t, back)
		if a != b || k.Name != back.Name || k.Role != back.Role || k.Server != back.Server || !slices.Equal(k.Queues, back.Queues) || !slices.Equal(k.Systems, back.Systems) {
			t.Errorf("%q: %+v, written and read %+v", text, k, back)
		}
	})
}

func public(t *testing.T, k KeyFile) string {
	t.Helper()
	key, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
