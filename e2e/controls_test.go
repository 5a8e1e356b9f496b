package e2e_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// TestControls: docs/controls.md answers for every control once, in order, and for
// every requirement of chapter 9 of AISVS, with the level that it has there. Each row
// says how things are in one of four ways. What is said to be shown, or there in part,
// names who shows it; what is not all there says what is missing.
func TestControls(t *testing.T) {
	t.Parallel()
	var ids, nines []string
	for _, row := range table(t, "docs/controls.md", "| control") {
		ids = append(ids, row[0])
		answers(t, row[0], row[2], row[3])
	}
	for i, id := range ids {
		if id != "C"+strconv.Itoa(i+1) || len(ids) != 30 {
			t.Fatalf("controls: got %v, want C1 to C30", ids)
		}
	}
	seen := map[string]bool{}
	for _, row := range table(t, "docs/controls.md", "requirement") {
		number, _, _ := strings.Cut(row[0], " ")
		if seen[number] || !requirementsIn.MatchString(row[0]+"|"+row[1]) {
			t.Errorf("%s, level %s: want a number and words, once, and a level from 1 to 3", row[0], row[1])
		}
		seen[number] = true
		if strings.HasPrefix(number, "9.") {
			nines = append(nines, number+"/"+row[1])
		}
		for _, control := range strings.Split(row[2], ", ") {
			if control != "" && !slices.Contains(ids, control) {
				t.Errorf("%s: there is no control %s", number, control)
			}
		}
		answers(t, number, row[3], row[4])
	}
	if diff := cmp.Diff(strings.Fields(chapterNine), nines); diff != "" {
		t.Errorf("requirements of chapter 9 and their levels (-AISVS 1.0 +document):\n%s", diff)
	}
}

// chapterNine are the requirements of chapter 9 of AISVS 1.0, each with its level.
const chapterNine = `
9.1.1/1 9.1.2/1 9.1.3/2
9.2.1/1 9.2.2/2 9.2.3/2 9.2.4/2 9.2.5/2 9.2.6/2 9.2.7/2 9.2.8/3 9.2.9/3 9.2.10/3
9.3.1/1 9.3.2/1 9.3.3/2 9.3.4/2 9.3.5/2 9.3.6/2 9.3.7/2 9.3.8/3
9.4.1/2 9.4.2/2 9.4.3/3 9.4.4/3
9.5.1/2 9.5.2/2 9.5.3/2 9.5.4/2 9.5.5/2 9.5.6/3
9.6.1/1 9.6.2/2 9.6.3/3`

var requirementsIn = regexp.MustCompile(`^\d+\.\d+\.\d+ .+\|[123]$`)

// answers complains of a row that does not say how things are, or not by whom that is
// shown, or not what is missing.
func answers(t *testing.T, what, today, text string) {
	t.Helper()
	shown := testsIn.MatchString(text)
	switch today {
	case "shown":
		if !shown {
			t.Errorf("%s is called shown, and nothing shows it", what)
		}
	case "in part":
		if !shown {
			t.Errorf("%s is called there in part, and nothing shows that part", what)
		}
		if !strings.ContainsFunc(testsIn.ReplaceAllString(text, ""), unicode.IsLetter) {
			t.Errorf("%s is called there in part, and nothing is missing", what)
		}
	case "not yet", "not the gate's":
		if text == "" {
			t.Errorf("%s: %s, and nothing is said of it", what, today)
		}
	default:
		t.Errorf("%s is %q, want shown, in part, not yet or not the gate's", what, today)
	}
}
