package stages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sites are the places in the stages from which something is written, directly or
// not, and what went wrong at each.
type sites struct {
	mu   sync.Mutex
	seen map[string]map[fault]bool // by "file.go:line"
}

// note takes in where the write comes from at which something goes wrong.
func (s *sites) note(what fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		at := fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		if s.seen[at] == nil {
			s.seen[at] = map[fault]bool{}
		}
		s.seen[at][what] = true
	}
}

// missed returns the places of which something did not go wrong in every way.
func (s *sites) missed(t *testing.T) (missed []string) {
	t.Helper()
	for at, function := range writingSites(t) {
		for what := lost; what <= died; what++ {
			if !s.seen[at][what] {
				missed = append(missed, fmt.Sprintf("%s, in %s", at, function))
				break
			}
		}
	}
	slices.Sort(missed)
	return missed
}

// writeNowhere are the files of what decides again, which no stream hears of.
var writeNowhere = []string{"again.go", "recall.go", "retrial.go", "regrant.go"}

// writingSites finds every call in the stages that leads to a write, and the
// function that it stands in.
func writingSites(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	must(t, err)
	files := token.NewFileSet()
	var functions []*ast.FuncDecl
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(writeNowhere, name) {
			continue
		}
		f, err := parser.ParseFile(files, name, nil, 0)
		must(t, err)
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				functions = append(functions, d)
			}
		}
	}
	writers, found := map[string]bool{"Append": true}, map[string]string{}
	for n := 0; n != len(writers); {
		n = len(writers)
		for _, f := range functions {
			ast.Inspect(f.Body, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				if !ok {
					return true
				}
				if method, ok := call.Fun.(*ast.SelectorExpr); ok && writers[method.Sel.Name] {
					writers[f.Name.Name] = true
					at := files.Position(call.Lparen)
					found[fmt.Sprintf("%s:%d", at.Filename, at.Line)] = f.Name.Name
				}
				return true
			})
		}
	}
	return found
}
