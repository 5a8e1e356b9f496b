package e2e_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	longestFile     = 400 // lines, but for tests
	longestFunction = 60
	longestTest     = 120 // not counting tables: a story may be longer than a step
)

// TestStyle holds the code against the limits of docs/style.md, and names every
// line that goes over one.
func TestStyle(t *testing.T) {
	t.Parallel()
	for _, pkg := range parsePackages(t) {
		for _, complaint := range append(pkg.complaints(), pkg.comment()...) {
			t.Error(complaint)
		}
	}
}

// TestStyleComplains makes sure that the limits are limits.
func TestStyleComplains(t *testing.T) {
	t.Parallel()
	const code = `package p

import "time"

var count, table = 0, map[string]int{}

func init() { count++ }

func f() { table["a"] = 1; time.Sleep(1) }

func g() {`
	text := code + strings.Repeat("\n", longestFunction) + "}" + strings.Repeat("\n", longestFile)
	s := &source{fileSet: token.NewFileSet()}
	file, err := parser.ParseFile(s.fileSet, "p.go", text, parser.SkipObjectResolution)
	must(t, err)
	s.files = []*ast.File{file}
	got := s.complaints()
	for i, want := range []string{
		"p.go:1: the file has", "p.go:11: g has 61 lines", "p.go:7: init", "p.go:9: time.Sleep",
		"p.go:7: changes count", "p.go:9: changes table",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("complaint %d: got %q, want %q", i, got, want)
		}
	}
}

// complaints names what goes over a limit.
func (s *source) complaints() (all []string) {
	for _, file := range s.files {
		all = slices.Concat(all, s.size(file), s.forbidden(file))
	}
	return append(all, s.changedGlobals()...)
}

// source is the parsed files of one package and of its tests.
type source struct {
	dir     string
	files   []*ast.File
	fileSet *token.FileSet
}

// parsePackages parses every Go file of the repository, by directory and package.
func parsePackages(t *testing.T) []*source {
	t.Helper()
	byName := map[string]*source{}
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		key := dir + " " + file.Name.Name
		if byName[key] == nil {
			byName[key] = &source{dir: dir, fileSet: files}
		}
		byName[key].files = append(byName[key].files, file)
		return nil
	})
	must(t, err)
	var all []*source
	for _, pkg := range byName {
		all = append(all, pkg)
	}
	return all
}

func (s *source) at(p token.Pos) string {
	at := s.fileSet.Position(p)
	return fmt.Sprintf("%s:%d", filepath.ToSlash(strings.TrimPrefix(at.Filename, ".."+string(filepath.Separator))), at.Line)
}

func (s *source) isTest(file *ast.File) bool {
	return strings.HasSuffix(s.fileSet.Position(file.Pos()).Filename, "_test.go")
}

// size names what is too long.
func (s *source) size(file *ast.File) (all []string) {
	if n := s.fileSet.File(file.Pos()).LineCount(); n > longestFile && !s.isTest(file) {
		all = append(all, fmt.Sprintf("%s: the file has %d lines, at most %d", s.at(file.Pos()), n, longestFile))
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		n, most := s.lines(f), longestFunction
		if s.isTest(file) {
			n, most = n-s.dataLines(f), longestTest
		}
		if n > most {
			all = append(all, fmt.Sprintf("%s: %s has %d lines, at most %d", s.at(f.Pos()), f.Name.Name, n, most))
		}
	}
	return all
}

func (s *source) lines(n ast.Node) int {
	return s.fileSet.Position(n.End()).Line - s.fileSet.Position(n.Pos()).Line + 1
}

// dataLines is how many lines of a test are its table: what stands between the
// braces of literals.
func (s *source) dataLines(f *ast.FuncDecl) (n int) {
	ast.Inspect(f, func(node ast.Node) bool {
		table, ok := node.(*ast.CompositeLit)
		if ok {
			n += s.lines(table) - 1
		}
		return !ok
	})
	return n
}

// forbidden names what should not be there: init functions, and tests that sleep.
func (s *source) forbidden(file *ast.File) (all []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				all = append(all, s.at(n.Pos())+": init runs before anybody can say what it needs")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name == "Sleep" {
				all = append(all, s.at(n.Pos())+": time.Sleep: wait for what you wait for")
			}
		}
		return true
	})
	return all
}

// promise is how a package comment begins.
var promise = regexp.MustCompile(`^(Package|Command) \S+ [a-z]`)

// comment complains about a package without a comment, or with several.
func (s *source) comment() []string {
	var comments []*ast.CommentGroup
	for _, file := range s.files {
		if file.Doc != nil {
			comments = append(comments, file.Doc)
		}
	}
	name := s.files[0].Name.Name
	switch {
	case len(comments) > 1:
		return []string{fmt.Sprintf("%s: package %s has %d package comments", s.at(comments[1].Pos()), name, len(comments))}
	case len(comments) == 1 && !promise.MatchString(comments[0].Text()):
		return []string{fmt.Sprintf("%s: the package comment does not say what the package is for", s.at(comments[0].Pos()))}
	case len(comments) == 0 && !s.accompanies():
		return []string{fmt.Sprintf("%s: package %s has no package comment", s.dir, name)}
	}
	return nil
}

// accompanies reports whether these are the tests of a package that stands in the
// same directory.
func (s *source) accompanies() bool {
	code, _ := filepath.Glob(filepath.Join(s.dir, "*.go"))
	return s.isTest(s.files[0]) && slices.ContainsFunc(code, func(path string) bool { return !strings.HasSuffix(path, "_test.go") })
}

// changedGlobals names every place where a variable of the package is changed after
// it was declared.
func (s *source) changedGlobals() (all []string) {
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Error: func(error) {}} // imports are not there, and need not be
	pkg, _ := config.Check(s.dir, s.fileSet, s.files, &info)
	changes := func(x ast.Expr) {
		name := changed(x)
		if v, ok := info.Uses[name].(*types.Var); ok && v.Parent() == pkg.Scope() {
			all = append(all, fmt.Sprintf("%s: changes %s, a variable of the package", s.at(name.Pos()), name.Name))
		}
	}
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, x := range n.Lhs {
					changes(x)
				}
			case *ast.IncDecStmt:
				changes(n.X)
			}
			return true
		})
	}
	return all
}

// changed returns the variable that changes when something is assigned to x; nil if
// it has no name.
func changed(x ast.Expr) *ast.Ident {
	switch x := x.(type) {
	case *ast.Ident:
		return x
	case *ast.IndexExpr:
		return changed(x.X)
	case *ast.SelectorExpr:
		return changed(x.X)
	case *ast.StarExpr:
		return changed(x.X)
	case *ast.ParenExpr:
		return changed(x.X)
	}
	return nil
}
