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

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// item is a package that has its place in a snapshot.
type item struct {
	Package
	known *known
	place string // slash-separated path in the snapshot
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
// snapshot, in order of their places. Used is what is known of all of them.
func (s Spec) collect(ctx context.Context, st *store.Store, m *memory, packages []Package) (items []item, used []*known, err error) {
	read, err := s.read(ctx, st, m, packages)
	if err != nil {
		return nil, nil, err
	}
	byPlace := map[string]*item{}
	for _, next := range read {
		m.learn(next.known)
		used = append(used, next.known)
		if there, ok := byPlace[next.place]; ok {
			if next, err = s.merge(ctx, st, m, there, next); err != nil {
				return nil, nil, err
			}
		}
		byPlace[next.place] = next
	}
	for _, it := range byPlace {
		items = append(items, *it)
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.place, b.place) })
	return items, used, distinct(items)
}

// read reads packages side by side. Of several errors it returns that of the first
// package.
func (s Spec) read(ctx context.Context, st *store.Store, m *memory, packages []Package) ([]*item, error) {
	items, errs := make([]*item, len(packages)), make([]error, len(packages))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	const together = 16 // of packages that are known a hand-over each would take longer than they do
	for from := 0; from < len(packages); from += together {
		group.Go(func() error {
			for i := from; i < min(from+together, len(packages)); i++ {
				if errs[i] = ctx.Err(); errs[i] == nil {
					items[i], errs[i] = s.item(ctx, st, m, packages[i])
				}
			}
			return nil
		})
	}
	return items, cmp.Or(group.Wait(), cmp.Or(errs...))
}

// item finds out what a package is, and its place.
func (s Spec) item(ctx context.Context, st *store.Store, m *memory, pkg Package) (*item, error) {
	about := pkg.Digest.Short()
	if pkg.Origin != "" {
		about += " (" + pkg.Origin + ")"
	}
	k, err := s.know(ctx, st, m, pkg.Digest)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", about, err)
	}
	if pkg.File != "" && pkg.File != k.FileName {
		return nil, fmt.Errorf("package %s: it was built as %q but its header makes it %s", about, pkg.File, k.FileName)
	}
	if k.Arch != noarchDir && k.Arch != sourceDir && !slices.Contains(s.Arches, k.Arch) {
		return nil, fmt.Errorf("package %s: %s is for %s, target %s has %s", about, k.FileName, k.Arch, s.Target, strings.Join(s.Arches, ", "))
	}
	return &item{Package: pkg, known: k, place: k.place()}, nil
}

// know reads a package whole, verifies its digests and signatures and that it can be
// laid out. Of one that is known only the digest is computed again, and that only
// where its file is not the one that it was. A verdict holds for the same bytes.
func (s Spec) know(ctx context.Context, st *store.Store, m *memory, d store.Digest) (*known, error) {
	k := m.packages[d]
	if k != nil && st.Vouch(d, k.File) {
		return k, nil
	}
	path, err := st.Path(d)
	if err != nil {
		return nil, err
	}
	if k != nil {
		again := *k
		return &again, nil
	}
	p, err := s.Key.Keyring().VerifyPackageFile(ctx, path)
	if err != nil {
		return nil, err
	}
	return newKnown(d, p), safe(p)
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
func (s Spec) merge(ctx context.Context, st *store.Store, m *memory, a, b *item) (*item, error) {
	conflict := func(why string) error {
		return &ConflictError{Name: a.place, A: a.Package, B: b.Package, Why: why}
	}
	if a.Digest == b.Digest {
		return a, nil
	}
	if one, two := a.known.nevra(), b.known.nevra(); one != two {
		return nil, conflict(fmt.Sprintf("they differ in epoch (%s, %s), which file names do not hold; raise the release", one, two))
	}
	for _, it := range []*item{a, b} {
		if it.known.Content != "" {
			continue
		}
		if err := it.known.digest(ctx, st); err != nil {
			return nil, err
		}
		m.learnt = true
	}
	switch {
	case a.known.Content == b.known.Content:
	case a.known.source():
		return nil, conflict("their files differ; a release is built from the same sources for every architecture")
	default:
		return nil, conflict("make the build reproducible, or let one architecture own the package")
	}
	rank := func(it *item) int {
		if i := slices.Index(s.Arches, it.known.BuildArch); i >= 0 {
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
func (k *known) digest(ctx context.Context, st *store.Store) error {
	path, err := st.Path(k.Digest)
	if err != nil {
		return err
	}
	p, err := rpm.ReadFile(path)
	if err != nil {
		return err
	}
	if k.source() {
		h := sha256.New()
		hashFiles(h, p)
		k.Content = hex.EncodeToString(h.Sum(nil))
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.Arch == noarchDir {
		k.Content, err = p.PortableDigest(ctx, f)
		return err
	}
	k.Content, err = p.ContentDigest(ctx, f)
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
