package e2e_test

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
)

// Transcripts in documents are real ones of another day: ids, digests and times
// differ, all else must be the same. A line "…" stands for any number of lines,
// and "…" in a line for any text.

// names are the words of a transcript that stand for something: the same word for
// the same thing, wherever it stands.
var names = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b`)

// moments are the words that only say when, where or how much, and the dots that
// stand for anything.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d\.\d{3}|\b\d{6}-[0-9a-f]{4}\b|\b(?:\d+h)?(?:\d+m)?\d+s\b|127\.0\.0\.1:\d+|\b\d+ records\b|…`)

// transcript reports whether got is what want says, given what is known of the
// names, and returns the names that it learned.
func transcript(want, got []string, known map[string]string) (map[string]string, bool) {
	switch {
	case len(want) == 0:
		return known, len(got) == 0
	case strings.TrimSpace(want[0]) == "…":
		for skipped := range len(got) + 1 {
			if learned, ok := transcript(want[1:], got[skipped:], known); ok {
				return learned, true
			}
		}
		return nil, false
	case len(got) == 0:
		return nil, false
	}
	learned, ok := sameLine(want[0], got[0], known)
	if !ok {
		return nil, false
	}
	return transcript(want[1:], got[1:], learned)
}

// sameLine is transcript of one line. How wide blanks are does not matter.
func sameLine(want, got string, known map[string]string) (map[string]string, bool) {
	want, got = strings.Join(strings.Fields(want), " "), strings.Join(strings.Fields(got), " ")
	var pattern strings.Builder
	var written []string
	for rest := want; rest != ""; {
		name, moment := names.FindStringIndex(rest), moments.FindStringIndex(rest)
		switch {
		case name != nil && (moment == nil || name[0] <= moment[0]):
			fmt.Fprintf(&pattern, "%s(%s)", regexp.QuoteMeta(rest[:name[0]]), names)
			written = append(written, rest[name[0]:name[1]])
			rest = rest[name[1]:]
		case moment != nil:
			one := "(?:" + moments.String() + ")"
			if rest[moment[0]:moment[1]] == "…" {
				one = ".*"
			}
			pattern.WriteString(regexp.QuoteMeta(rest[:moment[0]]) + one)
			rest = rest[moment[1]:]
		default:
			pattern.WriteString(regexp.QuoteMeta(rest))
			rest = ""
		}
	}
	found := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(got)
	if found == nil {
		return nil, false
	}
	learned := map[string]string{}
	maps.Copy(learned, known)
	for i, w := range written {
		if real, ok := learned[w]; ok && real != found[i+1] {
			return nil, false
		}
		learned[w] = found[i+1]
	}
	return learned, true
}

// explained says of a step what it should have said.
func explained(next step, said string, err error) error {
	return fmt.Errorf("$ %s\nended with %v and said\n%s\nthe document says\n%s", next.command, err, said, strings.Join(next.says, "\n"))
}

// TestTranscript makes sure that a transcript that is wrong is found wrong.
func TestTranscript(t *testing.T) {
	t.Parallel()
	const a, b = "01M88V1JFPM5A5YJ4DGJMJBYXV", "01M88V1JM2M9Q2A1444WBSW7JF"
	for _, c := range []struct {
		name      string
		want, got string
		same      bool
	}{
		{"the same", "parked\nid  bot/" + a, "parked\nid bot/" + b, true},
		{"another word", "parked", "released", false},
		{"another time", "until 2026-11-25 11:52:08", "until 2027-01-01 00:00:00", true},
		{"a time is no word", "until 2026-11-25 11:52:08", "until noon", false},
		{"one thing under one name", "is " + a + "\nwas " + a, "is " + a + "\nwas " + b, false},
		{"a line too many", "one", "one\ntwo", false},
		{"a line too few", "one\ntwo", "one", false},
		{"lines left out", "one\n…\nfour", "one\ntwo\nthree\nfour", true},
		{"lines left out, and not the last", "one\n…\nfour", "one\ntwo\nthree", false},
		{"words left out", "text: … done", "text: anything at all done", true},
		{"brackets are brackets", "a (b) [c]", "a b c", false},
	} {
		if _, same := transcript(strings.Split(c.want, "\n"), strings.Split(c.got, "\n"), nil); same != c.same {
			t.Errorf("%s: got %v, want %v", c.name, same, c.same)
		}
	}
}
