package main

import (
	"errors"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestPushWaitsForTheSlowerGate: of two gates, either may answer. One that has not
// read of the push says nothing about it, neither that it is done nor that another
// bundle is active.
func TestPushWaitsForTheSlowerGate(t *testing.T) {
	t.Parallel()
	const before, mine, other = schemas.Digest("sha256:before"), schemas.Digest("sha256:mine"), schemas.Digest("sha256:other")
	made := schemas.Activated{Seq: 7, Bundle: mine, Effective: true}
	past := func(seqs ...uint64) (all []schemas.Activated) {
		for _, seq := range seqs {
			all = append(all, schemas.Activated{Seq: seq})
		}
		return all
	}
	for name, c := range map[string]struct {
		says   schemas.Policies
		loaded bool
		err    error
	}{
		"it has read nothing":           {schemas.Policies{}, false, nil},
		"it has read less":              {schemas.Policies{Active: before, Loaded: true, Past: past(3)}, false, nil},
		"the same was active before":    {schemas.Policies{Active: mine, Loaded: true, Past: past(3)}, false, nil},
		"it is loading":                 {schemas.Policies{Active: mine, Past: past(7, 3)}, false, nil},
		"it has loaded":                 {schemas.Policies{Active: mine, Loaded: true, Past: past(7, 3)}, true, nil},
		"somebody else voted meanwhile": {schemas.Policies{Active: mine, Loaded: true, Past: past(9, 7)}, true, nil},
		"another is active meanwhile":   {schemas.Policies{Active: other, Loaded: true, Past: past(9, 7)}, false, schemas.ErrStale},
	} {
		loaded, err := isLoaded(c.says, made)
		if loaded != c.loaded || !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, %v, want %v, %v", name, loaded, err, c.loaded, c.err)
		}
	}
}
