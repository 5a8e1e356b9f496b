package e2e_test

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const module = "github.com/holdpoint/holdpoint/"

// TestLayers holds the imports of every package against docs/architecture.md: what
// it may import of ours, and which dependencies are its to use. A new package
// fails until somebody gives it a place.
func TestLayers(t *testing.T) {
	t.Parallel()
	layers, owners := map[string][]string{}, map[string][]string{}
	for _, row := range table(t, "docs/architecture.md", "package") {
		layers[code(row[0])[0]] = code(row[2])
	}
	for _, row := range table(t, "docs/architecture.md", "module") {
		owners[code(row[0])[0]] = code(row[2])
	}
	for name, imports := range packages(t) {
		allowed, placed := layers[name]
		delete(layers, name)
		if !placed {
			t.Errorf("%s: has no place in docs/architecture.md", name)
			continue
		}
		for _, imported := range imports {
			if ours, ok := strings.CutPrefix(imported, module); ok {
				if !slices.Contains(allowed, ours) {
					t.Errorf("%s imports %s, and may import %v", name, ours, allowed)
				}
			} else if dependency := ownerOf(owners, imported); !slices.Contains(owners[dependency], name) {
				t.Errorf("%s imports %s, which belongs to %v", name, imported, owners[dependency])
			}
		}
	}
	for name := range layers {
		t.Errorf("docs/architecture.md: %s is no package", name)
	}
	if diff := cmp.Diff(requirements(t), slices.Sorted(maps.Keys(owners))); diff != "" {
		t.Errorf("go.mod and the dependencies in docs/architecture.md (-go.mod +document):\n%s", diff)
	}
}

// packages returns what each package imports that is not of the standard library.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	must(t, err)
	all := map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = slices.DeleteFunc(p.Imports, func(path string) bool {
			first, _, _ := strings.Cut(path, "/")
			return !strings.Contains(first, ".")
		})
	}
}

// ownerOf returns the module that an import belongs to.
func ownerOf(owners map[string][]string, imported string) string {
	best := ""
	for m := range owners {
		if (imported == m || strings.HasPrefix(imported, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// requirements returns the modules that go.mod requires directly.
func requirements(t *testing.T) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(read(t, "go.mod")) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "require ")
		name, version, ok := strings.Cut(line, " ")
		if ok && strings.HasPrefix(version, "v") && !strings.Contains(version, "// indirect") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// TestClientIsLight: whoever writes an agent gets these modules, and no server,
// rules, metrics or web framework.
func TestClientIsLight(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./client")
	cmd.Dir = ".."
	out, err := cmd.Output()
	must(t, err)
	got := slices.Compact(slices.Sorted(strings.FieldsSeq(string(out))))
	want := []string{
		"github.com/cenkalti/backoff/v5",
		"github.com/go-json-experiment/json",
		"github.com/holdpoint/holdpoint",
		"github.com/klauspost/compress",
		"github.com/mattn/go-colorable",
		"github.com/mattn/go-isatty",
		"github.com/nats-io/nats.go",
		"github.com/nats-io/nkeys",
		"github.com/nats-io/nuid",
		"github.com/oklog/ulid/v2",
		"github.com/rs/zerolog",
		"golang.org/x/crypto",
		"golang.org/x/sync",
		"golang.org/x/sys",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules that come with client (-want +got):\n%s", diff)
	}
}

// TestFolders: every folder at the top is one that docs/architecture.md speaks of.
func TestFolders(t *testing.T) {
	t.Parallel()
	known := []string{"deploy", "docs", "tools"}
	for _, row := range table(t, "docs/architecture.md", "package") {
		first, _, _ := strings.Cut(code(row[0])[0], "/")
		known = append(known, first)
	}
	ignored := strings.Fields(read(t, ".gitignore"))
	entries, err := os.ReadDir("..")
	must(t, err)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(ignored, "/"+e.Name()+"/") && !slices.Contains(known, e.Name()) {
			t.Errorf("%s: docs/architecture.md does not say what it is for", e.Name())
		}
	}
}

// TestStreamTable holds the streams of docs/architecture.md against the subjects
// and the permissions that there are.
func TestStreamTable(t *testing.T) {
	t.Parallel()
	want := map[string][]string{string(schemas.Audit): {"audit.*.*", "nobody"}}
	for _, stream := range schemas.Streams() {
		want[string(stream)] = slices.Concat(stream.Subjects(), writers(t, stream))
	}
	got := map[string][]string{}
	for _, row := range table(t, "docs/architecture.md", "stream") {
		for _, subject := range code(row[1]) {
			got[row[0]] = append(got[row[0]], placeholders.ReplaceAllString(subject, "*"))
		}
		got[row[0]] = append(got[row[0]], slices.Sorted(slices.Values(strings.Split(row[2], ", ")))...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("streams, their subjects and writers (-code +document):\n%s", diff)
	}
}

// placeholders are the tokens of a subject that stand for any, and the one name
// that always stands in the place of another.
var placeholders = regexp.MustCompile(`<[a-z]+>|\bexecute$`)

// writers returns the roles that may publish to a stream, sorted.
func writers(t *testing.T, stream schemas.Stream) []string {
	t.Helper()
	var all []string
	for _, role := range slices.Concat(schemas.OutsideRoles(), schemas.GatewayRoles()) {
		if slices.Contains(writes(t, role), string(stream)) {
			all = append(all, string(role))
		}
	}
	slices.Sort(all)
	return all
}

// writes returns the streams that a role may publish to.
func writes(t *testing.T, role schemas.Role) []string {
	t.Helper()
	var all []string
	for _, stream := range schemas.Streams() {
		if slices.ContainsFunc(userOf(t, role).Publish, func(pattern string) bool {
			return slices.ContainsFunc(stream.Subjects(), func(subject string) bool { return overlap(pattern, subject) })
		}) {
			all = append(all, string(stream))
		}
	}
	return all
}

func userOf(t *testing.T, role schemas.Role) broker.User {
	t.Helper()
	u, err := broker.UserOf(schemas.Identity{Name: "x", Role: role, Queues: []schemas.Name{"q"}, Systems: []string{"s"}})
	must(t, err)
	return u
}

// overlap reports whether there is a subject that both patterns match.
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		if as[i] == ">" || bs[i] == ">" {
			return true
		}
		if as[i] != bs[i] && as[i] != "*" && bs[i] != "*" {
			return false
		}
	}
	return len(as) == len(bs)
}

// TestIdentityTable holds the identities of docs/architecture.md against the
// accounts and permissions that there are.
func TestIdentityTable(t *testing.T) {
	t.Parallel()
	want := map[string][]string{}
	for _, role := range slices.Concat(schemas.OutsideRoles(), schemas.GatewayRoles()) {
		want[string(role)] = append([]string{string(userOf(t, role).Account)}, writes(t, role)...)
	}
	got := map[string][]string{}
	for _, row := range table(t, "docs/architecture.md", "identity") {
		got[row[0]] = []string{row[1]}
		if row[2] != "" {
			got[row[0]] = append(got[row[0]], strings.Split(row[2], ", ")...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identities, their accounts and streams (-code +document):\n%s", diff)
	}
}

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path.Clean(name))))
	must(t, err)
	return string(text)
}

// table returns the rows of the table in a document whose first heading is given.
func table(t *testing.T, name, heading string) [][]string {
	t.Helper()
	_, body, found := strings.Cut(read(t, name), "\n| "+heading+" |")
	if !found {
		t.Fatalf("%s: no table of %s", name, heading)
	}
	body, _, _ = strings.Cut(body, "\n\n")
	var rows [][]string
	for _, line := range strings.Split(strings.TrimSpace(body), "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// code returns what stands between backticks.
func code(text string) []string {
	var all []string
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}
