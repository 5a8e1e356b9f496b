package schemas_test

import (
	"encoding"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// patterns are the types whose grammar a Parse function knows.
// TestPatternsAreTheGrammar holds the two against each other.
var patterns = map[reflect.Type]string{
	reflect.TypeFor[schemas.Name]():     `^[a-z0-9-]{1,32}$`,
	reflect.TypeFor[schemas.Action]():   `^[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}$`,
	reflect.TypeFor[schemas.IntentID](): `^[0-7][0-9A-HJKMNP-TV-Z]{25}$`,
	reflect.TypeFor[schemas.Digest]():   `^sha256:[0-9a-f]{64}$`,
}

// constraints are what a field's type does not say. Lengths in JSON Schema count
// characters and ours count bytes: what a schema refuses is always too long.
var constraints = map[string]object{
	"Proposal.Params":      {{"type", "object"}},
	"Proposal.Reason":      {{"maxLength", schemas.MaxProse}},
	"Proposal.Goal":        {{"maxLength", schemas.MaxProse}},
	"Proposal.Session":     {{"maxLength", schemas.MaxSession}},
	"Proposal.ExpiresIn":   {{"minimum", 0}, {"maximum", int(schemas.MaxLifetime / time.Second)}},
	"Proposal.Cause":       {{"not", object{}}},
	"Intent.Params":        {{"type", "object"}},
	"Decision.Reason":      {{"maxLength", schemas.MaxReason}},
	"Decision.Signature":   {{"pattern", `^[A-Za-z0-9_-]{86}$`}},
	"Standing.When":        {{"maxLength", schemas.MaxStandingWhen}},
	"Standing.Uses":        {{"minimum", 1}, {"maximum", schemas.MaxStandingUses}},
	"Standing.Reason":      {{"minLength", 1}, {"maxLength", schemas.MaxReason}},
	"Standing.Signature":   {{"pattern", `^[A-Za-z0-9_-]{86}$`}},
	"Revocation.Reason":    {{"maxLength", schemas.MaxReason}},
	"Revocation.Signature": {{"pattern", `^[A-Za-z0-9_-]{86}$`}},
	"Report.State":         {{"enum", []schemas.State{schemas.Done, schemas.Failed}}},
	"Identity.Role":        {{"enum", schemas.OutsideRoles()}},
	"Identity.Key":         {{"pattern", `^[A-Z2-7]{56}$`}},
	"Identity.Sessions":    {{"enum", []string{schemas.SessionsDeclared}}},
	"Identity.Actions":     {{"items", object{{"type", "string"}, {"pattern", actionPattern}}}},
	"Identity.Systems":     {{"items", object{{"type", "string"}, {"pattern", `^[A-Za-z0-9_-]{1,64}$`}}}},
	"Scope.System":         {{"pattern", `^[A-Za-z0-9_-]{1,64}$`}},
	"Problem.Reason":       {{"enum", []string{"invalid", "denied", "not_found", "stale", "closed", "unavailable"}}},
}

// actionPattern is what ParsePattern accepts.
const actionPattern = `^(\*|(\*|[A-Za-z0-9_-]{1,64})\.(\*|[A-Za-z0-9_-]{1,64}))$`

func TestPatternsAreTheGrammar(t *testing.T) {
	t.Parallel()
	parse := map[string]func(string) error{
		patterns[reflect.TypeFor[schemas.Name]()]:     func(s string) error { _, err := schemas.ParseName(s); return err },
		patterns[reflect.TypeFor[schemas.Action]()]:   func(s string) error { _, err := schemas.ParseAction(s); return err },
		patterns[reflect.TypeFor[schemas.IntentID]()]: func(s string) error { _, err := schemas.ParseIntentID(s); return err },
		patterns[reflect.TypeFor[schemas.Digest]()]:   func(s string) error { _, err := schemas.ParseDigest(s); return err },
		actionPattern: schemas.ParsePattern,
	}
	for pattern, parse := range parse {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			grammar := regexp.MustCompile(strings.TrimSuffix(pattern, "$") + `\z`)
			rapid.Check(t, func(t *rapid.T) {
				s := rapid.StringMatching(strings.Trim(pattern, "^$")).Draw(t, "s")
				if err := parse(s); err != nil {
					t.Errorf("parsing %q: %v, want it accepted as %s", s, err, pattern)
				}
				at := rapid.IntRange(0, len(s)).Draw(t, "at")
				s = s[:at] + rapid.SampledFrom([]string{"", ".", "*", "I", "a", "\n", "é", "9", ":"}).Draw(t, "new") + s[min(len(s), at+rapid.IntRange(0, 1).Draw(t, "cut")):]
				if got, want := parse(s) == nil, grammar.MatchString(s); got != want {
					t.Errorf("%q: parsed %v, want %v as %s says", s, got, want, pattern)
				}
			})
		})
	}
}

// source is what the package's own source says.
type source struct {
	docs     map[string]string   // by type, and by "Type.Field"
	fields   map[string]bool     // "Type.Field"
	consts   map[string][]string // by type: the values of its constants, if strings, or their names
	contents []string            // the types that have a method Type, sorted
}

func readSource(t *testing.T) *source {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	src := &source{docs: map[string]string{}, fields: map[string]bool{}, consts: map[string][]string{}}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			src.add(decl)
		}
	}
	slices.Sort(src.contents)
	return src
}

func (src *source) add(decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Name.Name != "Type" || decl.Recv == nil {
			return
		}
		if recv, ok := decl.Recv.List[0].Type.(*ast.Ident); ok {
			src.contents = append(src.contents, recv.Name)
		}
	case *ast.GenDecl:
		src.addSpecs(decl)
	}
}

func (src *source) addSpecs(decl *ast.GenDecl) {
	last := "" // the type of the constants before
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			src.docs[spec.Name.Name] = prose(decl.Doc)
			if s, ok := spec.Type.(*ast.StructType); ok {
				src.addFields(spec.Name.Name, s)
			}
		case *ast.ValueSpec:
			if decl.Tok != token.CONST {
				continue
			}
			if spec.Type != nil {
				last = spec.Type.(*ast.Ident).Name
			} else if len(spec.Values) > 0 {
				last = ""
			}
			src.addConst(last, spec)
		}
	}
}

func (src *source) addConst(of string, spec *ast.ValueSpec) {
	value := spec.Names[0].Name
	if len(spec.Values) > 0 {
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			value, _ = strconv.Unquote(lit.Value)
		}
	}
	src.consts[of] = append(src.consts[of], value)
}

// addFields gives a field its comment, or that of the field before it which
// speaks of both.
func (src *source) addFields(of string, s *ast.StructType) {
	before := ""
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			doc := prose(f.Doc) + prose(f.Comment)
			if doc == "" && regexp.MustCompile(`\b`+name.Name+`\b`).MatchString(before) {
				doc = before
			}
			src.docs[of+"."+name.Name] = doc
			src.fields[of+"."+name.Name] = true
			if f.Doc != nil {
				before = doc
			}
		}
	}
}

var docLink = regexp.MustCompile(`\[([A-Za-z.]+)\]`)

// prose is a comment in one line, without the brackets of links.
func prose(doc *ast.CommentGroup) string {
	return docLink.ReplaceAllString(strings.Join(strings.Fields(doc.Text()), " "), "$1")
}

// words returns the values of the constants of a type, as they travel.
func (src *source) words(of reflect.Type) []string {
	words := src.consts[of.Name()]
	if _, ok := reflect.Zero(of).Interface().(encoding.TextMarshaler); !ok || of.Kind() != reflect.Uint8 {
		if of.Kind() == reflect.String {
			return words
		}
		return nil
	}
	var verbs []string
	for i := range words {
		v := reflect.New(of).Elem()
		v.SetUint(uint64(i))
		text, _ := v.Interface().(encoding.TextMarshaler).MarshalText()
		verbs = append(verbs, string(text))
	}
	return verbs
}
