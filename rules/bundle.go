package rules

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// Bundle is a catalog and a policy that were checked. It never changes, and its
// methods may be called concurrently.
type Bundle struct {
	digest  schemas.Digest
	archive []byte

	systems []string
	actions []schemas.Action
	budgets []Budget
	plans   map[schemas.Action]*plan

	data   *ordered
	env    *environment
	limits Limits

	conditions *standingConditions
}

// Load reads, checks and compiles the bundle in a directory, with the default
// limits. An error is [Mistakes], unless the directory cannot be read.
func Load(dir fs.FS) (*Bundle, error) { return Limits{}.Load(dir) }

// Read reads, checks and compiles an archive that [Bundle.Archive] gave, with the
// default limits. Nothing in it is believed. An error is [Mistakes].
func Read(archive []byte) (*Bundle, error) { return Limits{}.Read(archive) }

// Load is the function Load with other limits.
func (l Limits) Load(dir fs.FS) (*Bundle, error) {
	notes := &notebook{}
	files, err := readDir(dir, notes)
	if err != nil {
		return nil, err
	}
	return l.build(files, notes)
}

// Read is the function Read with other limits.
func (l Limits) Read(archive []byte) (*Bundle, error) {
	notes := &notebook{}
	return l.build(unpack(archive, notes), notes)
}

// build makes a bundle of its files. If something is wrong with the files
// themselves it does not look into them.
func (l Limits) build(files []file, notes *notebook) (*Bundle, error) {
	d, err := l.draft(files, notes)
	if err != nil {
		return nil, err
	}
	return d.bundle()
}

// draft is a bundle that was compiled, with everything that was read for it.
type draft struct {
	limits   Limits
	files    []file
	catalog  *catalog
	data     *documents
	policy   *policy
	compiler *compiler
	findings []Finding
}

// draft reads and compiles the files. An error is [Mistakes], but for trouble
// with CEL itself.
func (l Limits) draft(files []file, notes *notebook) (*draft, error) {
	if err := notes.err(); err != nil {
		return nil, err
	}
	d := &draft{limits: l, files: files}
	d.catalog = readCatalogFile(files, notes)
	d.data = readData(files, notes)
	d.policy = readPolicyFiles(files, notes)
	var err error
	if d.compiler, err = newCompiler(l, d.catalog, d.data, d.policy, &d.findings); err != nil {
		return nil, err
	}
	d.compiler.compile(d.policy)
	return d, notes.err()
}

func (d *draft) bundle() (*Bundle, error) {
	archive, err := pack(d.files)
	if err != nil {
		return nil, err
	}
	return &Bundle{
		digest:  digest(d.files),
		archive: archive,
		systems: d.catalog.systems,
		actions: d.catalog.order,
		budgets: d.policy.limits(),
		plans:   d.compiler.plans,
		data:    d.data.values,
		env:     d.compiler.bases[conditions],
		limits:  d.limits,

		conditions: &standingConditions{limits: d.limits, data: d.data},
	}, nil
}

// vocabulary returns what cases may name.
func (d *draft) vocabulary() vocabulary {
	return vocabulary{actions: d.catalog.order, budgets: idsOf(d.policy.limits())}
}

func (b *Bundle) vocabulary() vocabulary {
	return vocabulary{actions: b.actions, budgets: idsOf(b.budgets)}
}

func lookup(files []file, path string) (file, bool) {
	i, ok := slices.BinarySearchFunc(files, path, func(f file, path string) int { return strings.Compare(f.path, path) })
	if !ok {
		return file{}, false
	}
	return files[i], true
}

func readCatalogFile(files []file, notes *notebook) *catalog {
	f, ok := lookup(files, catalogFile)
	if !ok {
		notes.file(catalogFile, "missing")
		return &catalog{}
	}
	d := parse(f, notes)
	if d == nil {
		return &catalog{}
	}
	return readCatalog(d)
}

// readPolicyFiles reads policy.yaml and what it includes, in that order. Every
// other file must have its own reason to be there: a rule in a file that nobody
// includes would silently not hold.
func readPolicyFiles(files []file, notes *notebook) *policy {
	p := &policy{ids: map[string]entry{}}
	used := map[string]bool{catalogFile: true, policyFile: true}
	f, ok := lookup(files, policyFile)
	if !ok {
		notes.file(policyFile, "missing")
		return p
	}
	d := parse(f, notes)
	if d == nil {
		return p
	}
	for _, n := range p.read(d) {
		included, ok := lookup(files, n.Value)
		switch {
		case checkPath(n.Value) != "":
			d.mistake(n, "include: '%s': %s", n.Value, checkPath(n.Value))
		case !ok:
			d.mistake(n, "include: the bundle has no file '%s'%s", n.Value, suggest(n.Value, paths(files)))
		case used[n.Value], strings.HasPrefix(n.Value, dataDir), strings.HasPrefix(n.Value, casesDir):
			d.mistake(n, "include: '%s' is read already", n.Value)
		default:
			used[n.Value] = true
			if more := parse(included, notes); more != nil {
				p.read(more)
			}
		}
	}
	for _, f := range files {
		stray := !used[f.path] && !strings.HasPrefix(f.path, dataDir) && !strings.HasPrefix(f.path, casesDir)
		if stray && !strings.HasSuffix(f.path, ".md") {
			notes.file(f.path, "nothing reads this file: include it in %s, or move it to %s or %s", policyFile, dataDir, casesDir)
		}
	}
	return p
}

func paths(files []file) []string {
	var paths []string
	for _, f := range files {
		paths = append(paths, f.path)
	}
	return paths
}

// Digest covers the paths and the contents of all files of the bundle.
func (b *Bundle) Digest() schemas.Digest { return b.digest }

// Archive returns the bundle in one piece, as [Read] takes it. The same files
// give the same bytes.
func (b *Bundle) Archive() []byte { return slices.Clone(b.archive) }

// Actions returns the actions of the catalog, sorted.
func (b *Bundle) Actions() []schemas.Action { return slices.Clone(b.actions) }

// Systems returns the systems of the catalog, sorted.
func (b *Bundle) Systems() []string { return slices.Clone(b.systems) }

// Budgets returns the policy's budgets, in order.
func (b *Bundle) Budgets() []Budget { return slices.Clone(b.budgets) }

// Params returns the JSON Schema of an action's parameters, or nil if the action
// does not exist.
func (b *Bundle) Params(a schemas.Action) []byte {
	p, ok := b.plans[a]
	if !ok {
		return nil
	}
	return slices.Clone(p.text)
}

// Action returns what the catalog says about an action, or false if it does not
// exist.
func (b *Bundle) Action(a schemas.Action) (Action, bool) {
	p, ok := b.plans[a]
	if !ok {
		return Action{}, false
	}
	found := p.Action
	found.Labels = slices.Clone(found.Labels)
	return found, true
}

// Rules returns the ids of the policy's rules that are about an action of the
// catalog, sorted.
func (b *Bundle) Rules() []string {
	var ids []string
	for _, p := range b.plans {
		for _, r := range slices.Concat(p.observe, p.recommend, p.execute) {
			ids = append(ids, r.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
