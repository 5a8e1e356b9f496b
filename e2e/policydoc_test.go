package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fence is a block of a page: what stands behind its fence, and its lines.
type fence struct {
	head string
	body string
}

func fences(text string) []fence {
	var found []fence
	for i, block := range strings.Split(text, "```") {
		if i%2 == 1 {
			head, body, _ := strings.Cut(block, "\n")
			found = append(found, fence{head, body})
		}
	}
	return found
}

// TestPolicyPage holds docs/policy.md against the program: the files in it make a
// bundle, each command prints the lines that stand below it, in that order, and the
// table of findings names those that there are.
func TestPolicyPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ran := 0
	for _, block := range fences(string(text)) {
		language, path, _ := strings.Cut(block.head, " ")
		switch {
		case language == "console":
			ran++
			showsLines(t, dir, block.body)
		case path != "":
			writeFile(t, filepath.Join(dir, path), block.body)
			if language == "yaml" && path == "wrong/policy.yaml" {
				catalog, err := os.ReadFile(filepath.Join(dir, "shop/catalog.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(dir, "wrong/catalog.yaml"), string(catalog))
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d commands, want those of the page", ran)
	}
	out, _ := holdpointIn(t, dir, "policy", "check", "shop", "--strict")
	if !strings.Contains(out, "2 actions, 0 warnings") {
		t.Errorf("the bundle of the page: %s", out)
	}
	namesFindings(t, dir, string(text))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holdpointIn runs the program in a directory, and returns what it prints.
func holdpointIn(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), holdpoint(t), args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	return string(out), err
}

// showsLines runs the command in the first line of a block. It must print the
// other lines one after the other, or nothing if there are none.
func showsLines(t *testing.T, dir, block string) {
	t.Helper()
	command, want, _ := strings.Cut(strings.TrimPrefix(block, "$ holdpoint "), "\n")
	var args []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(command, -1) {
		args = append(args, strings.Trim(word, "'"))
	}
	got, err := holdpointIn(t, dir, args...)
	if !strings.Contains(got, want) || want == "" && (got != "" || err != nil) {
		t.Errorf("%s\n got %v:\n%s\nwant\n%s", command, err, got, want)
	}
}

// namesFindings compares the table of findings with those that a waiver may name.
func namesFindings(t *testing.T, dir, page string) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "odd/catalog.yaml"), "version: 1\nsystems: {s: {queue: q, operations: {o: {effect: read}}}}\n")
	writeFile(t, filepath.Join(dir, "odd/policy.yaml"), "version: 1\nwaivers: [{check: no-such-thing, about: x, reason: x}]\n")
	out, _ := holdpointIn(t, dir, "policy", "check", "odd")
	_, known, _ := strings.Cut(strings.SplitN(out, "\n", 2)[0], "want ")
	want := strings.Split(known, " or ")
	var got []string
	_, table, _ := strings.Cut(page, "| finding | what it says |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)`").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("findings of the page: got %v, want %v", got, want)
	}
}
