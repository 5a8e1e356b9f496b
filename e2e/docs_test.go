package e2e_test

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestDocuments makes sure that what the documents name exists: files, tests, flags,
// settings, targets of make, and subjects.
func TestDocuments(t *testing.T) {
	t.Parallel()
	code := tree(t)
	for _, doc := range documents(t) {
		complain := func(format string, args ...any) { t.Errorf(doc.name+": "+format, args...) }
		for _, link := range links.FindAllStringSubmatch(doc.text, -1) {
			if target := path.Join(path.Dir(doc.name), link[1]); !exists(target) {
				complain("the link to %s leads nowhere", link[1])
			}
		}
		for _, name := range filesIn.FindAllStringSubmatch(doc.text, -1) {
			if !exists(name[1]) && !exists(path.Join(path.Dir(doc.name), name[1])) && !madeBy(doc, name[1]) {
				complain("there is no %s", name[1])
			}
		}
		for what, pattern := range map[*regexp.Regexp]string{
			testsIn:    `func %s(`,
			settingsIn: `%s`,
			targetsIn:  "\n%s: ",
		} {
			for _, name := range what.FindAllStringSubmatch(doc.text, -1) {
				if wanted := strings.Replace(pattern, "%s", name[1], 1); !strings.Contains(code, wanted) {
					complain("there is no %s", strings.TrimSpace(name[0]))
				}
			}
		}
	}
}

// What documents name, and how.
var (
	links      = regexp.MustCompile(`\]\(([^)#:]+)\)`)
	filesIn    = regexp.MustCompile("`([a-z][a-z0-9_-]*(?:/[a-zA-Z0-9_.-]+)+)`")
	testsIn    = regexp.MustCompile(`\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)`)
	settingsIn = regexp.MustCompile(`\b(HOLDPOINT_TEST_\w+)\b`)
	targetsIn  = regexp.MustCompile("`make ([a-z]+)`")
)

// tree returns all that stands in Go files and in the Makefile.
func tree(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	all.WriteString("\n" + read(t, "Makefile"))
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "docs_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	must(t, err)
	return all.String()
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join("..", filepath.FromSlash(name)))
	return err == nil
}

// madeBy reports whether a file is one of a bundle that the document writes, or lies
// where a gate keeps its data.
func madeBy(doc document, name string) bool {
	return strings.Contains(doc.text, "/"+name+"\n") || strings.HasPrefix(name, "holdpoint-data/")
}

// TestDocumentedFlags makes sure that every flag in the documents is one of the
// program's, or of what else a document speaks of.
func TestDocumentedFlags(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"--help": true}
	for _, help := range helpTexts(t) {
		for _, flag := range flagsIn.FindAllString(help, -1) {
			known[flag] = true
		}
	}
	for _, doc := range documents(t) {
		for line := range strings.Lines(doc.text) {
			if othersIn.MatchString(line) {
				continue
			}
			for _, flag := range flagsIn.FindAllString(line, -1) {
				if !known[flag] {
					t.Errorf("%s: there is no flag %s", doc.name, flag)
				}
			}
		}
	}
}

var (
	flagsIn  = regexp.MustCompile(`\B--[a-z][a-z-]+`)
	othersIn = regexp.MustCompile("^\\$ nats(-server)? |`nats |docker compose") // lines about other programs
)

// TestDocumentedSubjects makes sure that every subject in the documents is of a
// form that exists.
func TestDocumentedSubjects(t *testing.T) {
	t.Parallel()
	forms := map[string]int{"ask": 3, "claims": 4, "notices": 4, "holds": 5, "audit": 3}
	for _, stream := range schemas.Streams() {
		for _, subject := range stream.Subjects() {
			kind, _, _ := strings.Cut(subject, ".")
			forms[kind] = strings.Count(subject, ".") + 1
		}
	}
	for _, doc := range documents(t) {
		for _, found := range subjectsIn.FindAllStringSubmatch(doc.text, -1) {
			kind, _, _ := strings.Cut(found[1], ".")
			if want, known := forms[kind]; !known || strings.Count(found[1], ".")+1 != want {
				t.Errorf("%s: %s: there is no such subject", doc.name, found[1])
			}
		}
	}
}

var subjectsIn = regexp.MustCompile("`([a-z]+(?:\\.(?:<[a-z]+>|[a-z*]+))*\\.<[a-z]+>(?:\\.(?:<[a-z]+>|[a-z*]+))*)`")

// TestDocumentedMetrics: the documents name every metric that a gate has, and no
// other.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	g := gate{t: t, dir: t.TempDir()}
	bundle, err := filepath.Abs("testdata/crash")
	must(t, err)
	address := "127.0.0.1:" + strconv.Itoa(freePorts(t, 1)[0])
	g.start("serve", "--port", "-1", "--http", address, "--bundle", bundle).await(t, "the bundle is loaded")
	g.run("submit", "shop.asks", "--key", g.add("agent", "bot", "--owner", "olga"))
	answer, err := http.Get("http://" + address + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	var got, documented []string
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (holdpoint_\w+)`).FindAllSubmatch(text, -1) {
		got = append(got, string(found[1]))
	}
	for _, doc := range documents(t) {
		documented = append(documented, regexp.MustCompile(`\bholdpoint_\w+`).FindAllString(doc.text, -1)...)
	}
	slices.Sort(documented)
	if diff := cmp.Diff(got, slices.Compact(documented)); diff != "" {
		t.Errorf("metrics (-gate +documents):\n%s", diff)
	}
}

// TestPicture holds the picture in the README against the permissions: who writes a
// stream there may, and nobody else may; who reads it may not write it.
func TestPicture(t *testing.T) {
	t.Parallel()
	_, picture, _ := strings.Cut(read(t, "README.md"), "```text\n")
	picture, _, _ = strings.Cut(picture, "```")
	drawn := map[string]bool{}
	for line := range strings.Lines(picture) {
		for _, a := range arrows(line) {
			stream := schemas.Stream(strings.Trim(a.from+a.to, "abcdefghijklmnopqrstuvwxyz"))
			drawn[string(stream)] = true
			may := writers(t, stream)
			if a.to == string(stream) && !slices.Equal(may, []string{a.from}) {
				t.Errorf("%s ─▶ %s is drawn, and %v may write there", a.from, a.to, may)
			}
			if a.from == string(stream) && slices.Contains(may, a.to) && a.to != "execute" {
				t.Errorf("%s ─▶ %s is drawn, and %s may write there", a.from, a.to, a.to)
			}
		}
	}
	aside := []string{"BUDGETS", "CONTROL", "EXPOSED", "REJECTED", "STANDING"} // left to docs/architecture.md
	for _, stream := range append(schemas.Streams(), schemas.Audit) {
		if drawn[string(stream)] == slices.Contains(aside, string(stream)) {
			t.Errorf("stream %s: drawn %v", stream, drawn[string(stream)])
		}
	}
}

// arrow leads from an identity to a stream that it writes, or from a stream to an
// identity that is given what stands there.
type arrow struct{ from, to string }

// arrows returns the arrows in a line of the picture. Where a line ends at the box on
// the right, it ends at execute.
func arrows(line string) []arrow {
	if i := strings.IndexAny(line, "┌│└"); i >= 0 {
		line = line[:i] + " execute"
	}
	var all []arrow
	nodes := nodesIn.FindAllStringIndex(line, -1)
	for i := range max(0, len(nodes)-1) {
		left, right := line[nodes[i][0]:nodes[i][1]], line[nodes[i+1][0]:nodes[i+1][1]]
		switch between := line[nodes[i][1]:nodes[i+1][0]]; {
		case strings.Contains(between, "▶"):
			all = append(all, arrow{left, right})
		case strings.Contains(between, "◀"):
			all = append(all, arrow{right, left})
		}
	}
	return all
}

// nodesIn are the identities and the streams of the picture.
var nodesIn = regexp.MustCompile(`\b(agent|reviewer|executor|auditor|observe|recommend|execute|[A-Z]{4,})\b`)
