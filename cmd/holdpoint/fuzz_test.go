package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzVisible: whatever anybody wrote, a terminal shows it as itself, and JSON stays
// the same JSON.
func FuzzVisible(f *testing.F) {
	for _, s := range []string{"", "plain \\x1b", "\x1b[2J\x00\n\t\r", "\u202e\u200b\ufeff\u2028", "é\u0301 日本", "\xff\xfe", "\ufffd", "\U000e0001\ufe0f\u3164", `{"a":"\u001b\ud83d\ude00"}`, "{\"a\":\"\u202e\U000e0001\"}", "{\r\n\t\"a\": 1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := visible(s)
		for i, r := range got {
			if !shows(r) || r == utf8.RuneError && !strings.HasPrefix(got[i:], "\ufffd") {
				t.Fatalf("%q: %q has %U, which does not show", s, got, r)
			}
		}
		if plain(s) && got != s {
			t.Errorf("%q: written as %q, although it shows as itself", s, got)
		}
		var before, after any
		if schemas.Unmarshal([]byte(s), &before) != nil {
			return
		}
		seen := visibleJSON([]byte(s))
		for _, r := range string(seen) {
			if r != '\n' && !shows(r) {
				t.Errorf("%q: %q has %U, which does not show", s, seen, r)
			}
		}
		if err := schemas.Unmarshal(seen, &after); err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("%q: as JSON %q says %v, %v, want %v", s, seen, after, err, before)
		}
	})
}
