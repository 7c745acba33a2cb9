package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// item is a package that has its place in a snapshot.
type item struct {
	Package
	nevra     string
	place     string // slash-separated path in the snapshot
	buildArch string
	source    bool
	built     time.Time
	content   string // digest of what may not differ; computed when asked for
}

// ConflictError says that two packages claim one name with different contents.
type ConflictError struct {
	Name string // the file's
	A, B Package
	Why  string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s comes with two contents, %s (%s) and %s (%s): %s", e.Name,
		e.A.Digest, cmp.Or(e.A.Origin, "origin unknown"), e.B.Digest, cmp.Or(e.B.Origin, "origin unknown"), e.Why)
}

// collect reads and verifies the packages and decides which of them are in the
// snapshot, in order of their places.
func (s Spec) collect(ctx context.Context, st *store.Store, packages []Package) ([]item, error) {
	read, err := s.read(ctx, st, packages)
	if err != nil {
		return nil, err
	}
	byPlace := map[string]*item{}
	for _, next := range read {
		if there, ok := byPlace[next.place]; ok {
			if next, err = s.merge(ctx, st, there, next); err != nil {
				return nil, err
			}
		}
		byPlace[next.place] = next
	}
	var items []item
	for _, it := range byPlace {
		items = append(items, *it)
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.place, b.place) })
	return items, distinct(items)
}

// read reads packages side by side. Of several errors it returns that of the first
// package.
func (s Spec) read(ctx context.Context, st *store.Store, packages []Package) ([]*item, error) {
	items, errs := make([]*item, len(packages)), make([]error, len(packages))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range packages {
		group.Go(func() error {
			if errs[i] = ctx.Err(); errs[i] == nil {
				items[i], errs[i] = s.item(ctx, st, p)
			}
			return nil
		})
	}
	return items, cmp.Or(group.Wait(), cmp.Or(errs...))
}

// item reads one package, verifies its digests and signatures, and finds its
// place.
func (s Spec) item(ctx context.Context, st *store.Store, pkg Package) (*item, error) {
	about := pkg.Digest.Short()
	if pkg.Origin != "" {
		about += " (" + pkg.Origin + ")"
	}
	path, err := st.Path(pkg.Digest)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", about, err)
	}
	p, err := s.Key.Keyring().VerifyPackageFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", about, err)
	}
	if err := safe(p); err != nil {
		return nil, fmt.Errorf("package %s: %w", about, err)
	}
	if pkg.File != "" && pkg.File != p.FileName() {
		return nil, fmt.Errorf("package %s: it was built as %q but its header makes it %s", about, pkg.File, p.FileName())
	}
	if p.Arch != noarchDir && p.Arch != sourceDir && !slices.Contains(s.Arches, p.Arch) {
		return nil, fmt.Errorf("package %s: %s is for %s, target %s has %s", about, p.FileName(), p.Arch, s.Target, strings.Join(s.Arches, ", "))
	}
	return &item{
		Package: pkg, nevra: p.NEVRA(), place: p.Arch + "/" + p.FileName(),
		buildArch: p.BuildArch, source: p.Source(), built: p.BuildTime,
	}, nil
}

// The characters that rpmbuild allows, which are safe in paths and URLs.
var (
	safeName    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*$`)
	safeVersion = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+~^]*$`)
)

func safe(p *rpm.Package) error {
	for what, bad := range map[string]bool{
		"name " + p.Name:       !safeName.MatchString(p.Name),
		"version " + p.Version: !safeVersion.MatchString(p.Version),
		"release " + p.Release: !safeVersion.MatchString(p.Release),
		"arch " + p.Arch:       !layout.IsWord(p.Arch),
		"long name " + p.Name:  len(p.FileName()) > 255,
	} {
		if bad {
			return fmt.Errorf("%q is not safe as part of a file's name", what)
		}
	}
	return nil
}

// merge decides between two packages of one name. The same content is one
// package, whatever its signatures; which file is taken does not depend on
// their order.
func (s Spec) merge(ctx context.Context, st *store.Store, a, b *item) (*item, error) {
	conflict := func(why string) error {
		return &ConflictError{Name: a.place, A: a.Package, B: b.Package, Why: why}
	}
	if a.Digest == b.Digest {
		return a, nil
	}
	if a.nevra != b.nevra {
		return nil, conflict(fmt.Sprintf("they differ in epoch (%s, %s), which file names do not hold; raise the release", a.nevra, b.nevra))
	}
	for _, it := range []*item{a, b} {
		if err := it.digest(ctx, st); err != nil {
			return nil, err
		}
	}
	switch {
	case a.content == b.content:
	case a.source:
		return nil, conflict("their files differ; a release is built from the same sources for every architecture")
	default:
		return nil, conflict("make the build reproducible, or let one architecture own the package")
	}
	rank := func(it *item) int {
		if i := slices.Index(s.Arches, it.buildArch); i >= 0 {
			return i
		}
		return len(s.Arches)
	}
	if c := cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Digest, b.Digest)); c > 0 {
		return b, nil
	}
	return a, nil
}

// digest computes what may not differ between two packages of one name. A
// source package's header records where it was written, so there it is only
// the files; of a noarch package all but where it was built.
func (it *item) digest(ctx context.Context, st *store.Store) error {
	if it.content != "" {
		return nil
	}
	path, err := st.Path(it.Digest)
	if err != nil {
		return err
	}
	p, err := rpm.ReadFile(path)
	if err != nil {
		return err
	}
	if it.source {
		h := sha256.New()
		hashFiles(h, p)
		it.content = hex.EncodeToString(h.Sum(nil))
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.Arch == noarchDir {
		it.content, err = p.PortableDigest(ctx, f)
		return err
	}
	it.content, err = p.ContentDigest(ctx, f)
	return err
}

// hashFiles hashes a package's list of files but for their times. The digests
// in it were compared with the files when rpm wrote it.
func hashFiles(h hash.Hash, p *rpm.Package) {
	for f := range p.Files() {
		fmt.Fprintf(h, "%q %o %d %d %q %q\n", f.Path(), f.Mode, f.Flags, f.Size, f.Digest, f.LinkTo)
	}
}

// distinct refuses names that differ only by case: on some file systems, and
// behind some servers, they are one.
func distinct(items []item) error {
	seen := map[string]item{}
	for _, it := range items {
		folded := strings.ToLower(it.place)
		if o, ok := seen[folded]; ok {
			return &ConflictError{Name: it.place, A: o.Package, B: it.Package, Why: "the name " + o.place + " differs from it only by case"}
		}
		seen[folded] = it
	}
	return nil
}
