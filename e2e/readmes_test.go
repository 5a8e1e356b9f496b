package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmes does what the five minutes in the README of a bundle tell to do, line
// by line. A comment at the end of a line is the first word that it must print.
func TestReadmes(t *testing.T) {
	t.Parallel()
	for _, bundle := range []string{"banking", "slack"} {
		t.Run(bundle, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "examples", bundle, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			dir := checkout(t)
			for _, line := range shellLines(string(text)) {
				follow(t, dir, line)
			}
		})
	}
}

// checkout returns a directory with what a reader has after building.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	examples, err := filepath.Abs(filepath.Join("..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"holdpoint": holdpoint(t), "examples": examples} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shellLines returns the lines of the shell blocks of a text.
func shellLines(text string) []string {
	var lines []string
	for i, block := range strings.Split(text, "```") {
		if body, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			lines = append(lines, strings.Split(strings.TrimSpace(body), "\n")...)
		}
	}
	return lines
}

// follow does what one line says. What runs until it is interrupted is awaited
// until it says that it works.
func follow(t *testing.T, dir, line string) {
	t.Helper()
	command, want, _ := strings.Cut(line, " # ")
	stays := func(text string, variables ...string) {
		start(t, dir, variables, "sh", "-c", "exec "+command).await(t, text)
	}
	switch {
	case strings.HasPrefix(command, "go build "):
	case strings.HasPrefix(command, "./holdpoint serve "):
		stays("the bundle is loaded", "HOLDPOINT_PORT=-1", "HOLDPOINT_HTTP=")
	case strings.HasPrefix(command, "./holdpoint execute "):
		stays("performs actions on")
	case strings.HasPrefix(command, "./holdpoint review watch "):
		stays("parked assistant/")
	default:
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = dir
		out, err := cmd.Output()
		if first, _, _ := strings.Cut(string(out), "\n"); err != nil || want != "" && first != want {
			t.Errorf("%s\n%v, %q, want %q", command, err, out, want)
		}
	}
}
