package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/holdpoint/holdpoint/schemas"
)

// asyncAPI is docs/asyncapi.yaml, as far as it is held against the code.
type asyncAPI struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address    string
		Messages   map[string]reference
		Parameters map[string]reference
	}
	Operations map[string]struct {
		Action  string
		Channel reference
	}
	Components struct {
		Parameters map[string]any
		Messages   map[string]struct {
			Name    string
			Headers reference
			Payload reference
		}
		Schemas map[string]any
	}
}

type reference struct {
	Ref string `yaml:"$ref"`
}

// contents is one of every message that a stream keeps.
func contents() []schemas.Content {
	return []schemas.Content{
		schemas.Observation{}, schemas.Recommendation{}, schemas.Hold{}, schemas.Decision{}, schemas.Standing{}, schemas.Revocation{},
		schemas.Settlement{Outcome: schemas.Release}, schemas.Settlement{Outcome: schemas.Refuse},
		schemas.Grant{}, schemas.Lapse{}, schemas.Report{}, schemas.Rejection{}, schemas.Exposure{}, schemas.Budget{},
		schemas.Freeze{}, schemas.Thaw{}, schemas.Activation{}, schemas.Shadow{}, schemas.Identity{}, schemas.Removal{}, schemas.StreamMade{},
	}
}

// TestAsyncAPI holds docs/asyncapi.yaml against the subjects, the types and the
// schemas of the code, in both directions.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/asyncapi.yaml")
	must(t, err)
	var doc asyncAPI
	must(t, yaml.Unmarshal(text, &doc))
	if doc.AsyncAPI != "3.1.0" {
		t.Errorf("asyncapi: %s", doc.AsyncAPI)
	}
	wantSubjects := []string{"_INBOX_*.>", "ask.*.*", "claims.*.*.*", "holds.*.*.*.*", "notices.*.*.*"}
	for _, stream := range schemas.Streams() {
		wantSubjects = append(wantSubjects, stream.Subjects()...)
	}
	slices.Sort(wantSubjects)
	var subjects []string
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	for key, c := range doc.Channels {
		subjects = append(subjects, parameter.ReplaceAllString(c.Address, "*"))
		var names []string
		for _, m := range parameter.FindAllStringSubmatch(c.Address, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(c.Parameters))); diff != "" {
			t.Errorf("%s: parameters (-in the address +given):\n%s", key, diff)
		}
	}
	slices.Sort(subjects)
	if diff := cmp.Diff(wantSubjects, subjects); diff != "" {
		t.Errorf("subjects (-code +asyncapi.yaml):\n%s", diff)
	}
	checkTypes(t, doc)
	checkReferences(t, string(text))
}

// checkTypes makes sure that each channel has exactly the types of its stream, and
// that every schema is the payload of some message.
func checkTypes(t *testing.T, doc asyncAPI) {
	t.Helper()
	want := map[string][]string{"intents": {schemas.TypePrefix + "intent.proposed.v1"}}
	for _, c := range contents() {
		kind, _, _ := strings.Cut(c.Subject(), ".")
		want[kind] = append(want[kind], schemas.TypePrefix+c.Type())
	}
	payloads := map[string]bool{}
	for key, c := range doc.Channels {
		var got []string
		for name := range c.Messages {
			m := doc.Components.Messages[name]
			payloads[filepath.Base(m.Payload.Ref)] = true
			if strings.HasPrefix(m.Name, schemas.TypePrefix) {
				got = append(got, m.Name)
			}
		}
		slices.Sort(got)
		slices.Sort(want[key])
		if diff := cmp.Diff(want[key], got); diff != "" {
			t.Errorf("%s: types (-code +asyncapi.yaml):\n%s", key, diff)
		}
	}
	files, err := filepath.Glob("../schemas/v1/*.schema.json")
	must(t, err)
	for _, f := range files {
		if !payloads[filepath.Base(f)] {
			t.Errorf("no message has the schema %s", filepath.Base(f))
		}
	}
}

// checkReferences makes sure that every reference leads somewhere.
func checkReferences(t *testing.T, text string) {
	t.Helper()
	var root any
	must(t, yaml.Unmarshal([]byte(text), &root))
	for _, m := range regexp.MustCompile(`\$ref: '([^']+)'`).FindAllStringSubmatch(text, -1) {
		inside, ok := strings.CutPrefix(m[1], "#/")
		if !ok {
			if _, err := os.Stat(filepath.Join("../docs", m[1])); err != nil {
				t.Error(err)
			}
			continue
		}
		at := root
		for _, part := range strings.Split(inside, "/") {
			at, _ = at.(map[string]any)[part]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", m[1])
		}
	}
}
