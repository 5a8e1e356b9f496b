package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHelp runs the examples of every command's help, on one gate. They fit
// together: what one makes, another uses.
func TestHelp(t *testing.T) {
	t.Parallel()
	s := startServers(t, 1) // for what uses an existing broker
	performs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			_, _ = w.Write([]byte(`{"ok":true}`))
		}
	}))
	t.Cleanup(performs.Close)
	r := reader{t: t, dir: checkout(t), real: map[string]string{
		"tls://nats.internal:4222": s.url(),
		"ca.pem":                   s.path("cert.pem"),
		"/etc/holdpoint":           s.creds(),
		"http://127.0.0.1:9000":    performs.URL,
		"http://127.0.0.1:8300":    performs.URL,
	}}
	makeFiles(t, r.dir)
	for _, example := range inOrder(helpExamples(t)) {
		if strings.HasPrefix(example, "holdpoint bench") { // takes long, and has TestBench
			continue
		}
		command := strings.Replace(example, "holdpoint ", "./holdpoint ", 1)
		if strings.Contains(example, exampleID) {
			command = r.aboutSomethingParked(command)
		}
		r.follow(step{command: command, says: sayInstead(example)})
	}
}

// exampleID and exampleSeen stand in examples for an intent that is parked.
const exampleID, exampleSeen = "billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z", "9f2c41d07be8"

// sayInstead is what an example says that cannot work as it stands.
func sayInstead(example string) []string {
	for beginning, says := range map[string]string{
		"review resolve ":          "…not_in_doubt…",            // nothing here is
		"review standing revoke ":  "…not found…",               // an intent is none
		"identity apply ":          "…ann: … with another key…", // it was added before
		"policy rollback ":         "…not found…",
		"policy pull ":             "…not found…", // there was one bundle
		"policy diff 9f2c41d07be8": "…not found…",
	} {
		if strings.HasPrefix(example, "holdpoint "+beginning) {
			return []string{"…", "holdpoint: error: " + says, "…"}
		}
	}
	return nil
}

// inOrder sorts examples so that each finds what it needs. What is in no list comes
// between.
func inOrder(examples []string) []string {
	first := []string{"serve --bundle", "provision", "serve --nats", "identity add", "policy push", "execute", "submit", "show"}
	last := []string{"freeze", "thaw", "identity remove"}
	rank := func(example string) int {
		for i, beginning := range first {
			if strings.HasPrefix(example, "holdpoint "+beginning) {
				return i
			}
		}
		for i, beginning := range last {
			if strings.HasPrefix(example, "holdpoint "+beginning) {
				return len(first) + 1 + i
			}
		}
		return len(first)
	}
	slices.SortStableFunc(examples, func(a, b string) int { return rank(a) - rank(b) })
	return slices.Compact(examples)
}

// helpExamples returns the examples of every command's help.
func helpExamples(t *testing.T) []string {
	t.Helper()
	var all []string
	for i, help := range helpTexts(t) {
		examples := section(help, "Examples:")
		if len(examples) == 0 && i > 0 {
			t.Errorf("no example in\n%s", help)
		}
		all = append(all, examples...)
	}
	return all
}

// helpTexts returns the help of the program, and of every command below it.
func helpTexts(t *testing.T, path ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), holdpoint(t), append(path, "--help")...).Output()
	must(t, err)
	all := []string{string(out)}
	for _, line := range section(string(out), "Available Commands:") {
		if name, _, _ := strings.Cut(line, " "); name != "completion" && name != "help" {
			all = append(all, helpTexts(t, append(slices.Clone(path), name)...)...)
		}
	}
	return all
}

// section returns the lines of a help text under a heading.
func section(help, heading string) []string {
	_, body, _ := strings.Cut(help, "\n"+heading+"\n")
	body, _, _ = strings.Cut(body, "\n\n")
	var lines []string
	for _, line := range strings.Split(body, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// makeFiles makes the files that examples name.
func makeFiles(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(dir, "keys"), 0o700))
	must(t, os.Symlink(filepath.Join("..", "billing.key"), filepath.Join(dir, "keys", "billing.key")))
	for name, text := range map[string]string{
		"refund":        "#!/bin/sh\ncat\n",
		"decider":       "#!/bin/sh\ncat > /dev/null\n",
		"tell-the-team": "#!/bin/sh\ncat > /dev/null\n",
		"refund.json":   `{"order": "A-18", "cents": 1250}`,
		"intent.json":   `{"action": "banking.read_file", "params": {"file_path": "bill.txt"}}`,
		"calls.jsonl":   `{"session": "one", "agent": "billing", "action": "shop.refund", "params": {"order": "A-20", "cents": 1250}}` + "\n",
		"tools.json":    `[{"name": "refund", "inputSchema": {"type": "object", "additionalProperties": false}}]`,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
}

// aboutSomethingParked parks an intent, and returns a command about that.
func (r reader) aboutSomethingParked(command string) string {
	r.t.Helper()
	r.follow(step{command: "./holdpoint submit shop.refund --key billing.key --param order=A-19 --param cents=5001", says: []string{
		"parked", "intent billing/01M88V1JFPM5A5YJ4DGJMJBYXV", "…",
	}})
	r.follow(step{command: "./holdpoint review show billing/01M88V1JFPM5A5YJ4DGJMJBYXV --key ann.key", says: []string{
		"…", "seen fa607a2138c6", "…",
	}})
	command = strings.NewReplacer(
		exampleID, "billing/"+r.real["01M88V1JFPM5A5YJ4DGJMJBYXV"],
		exampleSeen, r.real["fa607a2138c6"],
	).Replace(command)
	delete(r.real, "01M88V1JFPM5A5YJ4DGJMJBYXV")
	delete(r.real, "fa607a2138c6")
	return command
}
