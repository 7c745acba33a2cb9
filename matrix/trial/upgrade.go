package trial

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/base"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/client"
	"github.com/ohpc-build/ohpc-build/validate/closure"
	"github.com/ohpc-build/ohpc-build/validate/overlap"
	"github.com/ohpc-build/ohpc-build/validate/upgrade"
)

// tryUpgrade upgrades what can be installed together of what there was before.
func (t *Trial) tryUpgrade(ctx context.Context, k check) (validate.Check, error) {
	skip := func(reason string) (validate.Check, error) {
		return validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Skip, Reason: reason}, nil
	}
	var trees []Tree
	for _, tree := range []*Tree{t.cell.Before, t.cell.Base} {
		if tree != nil {
			trees = append(trees, *tree)
		}
	}
	if len(trees) == 0 {
		return skip(cmp.Or(t.cell.NotBefore, "there is nothing to upgrade from"))
	}
	if b := t.cell.Before; b != nil && t.cell.Base == nil && b.ID == t.cell.Snapshot.ID {
		return skip(b.Name + " has these very packages already")
	}
	old, err := t.headersOf(ctx, trees)
	if err != nil {
		return validate.Check{}, err
	}
	offers, err := t.offers(ctx)
	if err != nil {
		return validate.Check{}, err
	}
	// What changes comes first: of two that exclude each other it is the one to try.
	// Then meta-packages: they are what users install.
	slices.SortFunc(old, func(a, b *rpm.Package) int {
		return cmp.Or(offers.rank(a)-offers.rank(b), min(a.FileCount(), 1)-min(b.FileCount(), 1), cmp.Compare(a.Name, b.Name))
	})
	names, err := t.together(ctx, old)
	if err != nil {
		return validate.Check{}, err
	}
	changes, err := os.MkdirTemp(t.dir, "upgrade-")
	if err != nil {
		return validate.Check{}, err
	}
	defer remove(changes)
	if err := os.Chmod(changes, 0o755); err != nil { // it is the root folder
		return validate.Check{}, err
	}
	trial := &upgrade.Trial{
		Old: t.client(k.manager, reposOld), New: t.client(k.manager, reposNew), Name: k.name, Subject: k.subject,
		Packages: names, Changes: changes, Offers: offers,
	}
	return trial.Run(ctx), nil
}

// headersOf reads the newest version of each package that the cell's users would
// install from some repositories.
func (t *Trial) headersOf(ctx context.Context, trees []Tree) ([]*rpm.Package, error) {
	newest := map[string]*rpm.Package{}
	for _, tree := range trees {
		repository, err := repodata.Open(ctx, tree.Dir)
		if err != nil {
			return nil, err
		}
		records, err := repository.Records(ctx)
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			if rec.Arch != t.cell.Arch && rec.Arch != noarch {
				continue
			}
			p, err := rpm.ReadFile(filepath.Join(tree.Dir, filepath.FromSlash(rec.Location)))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", tree.Name, rec.Location, err)
			}
			if other := newest[p.Name]; other == nil || other.EVR().Compare(p.EVR()) < 0 {
				newest[p.Name] = p
			}
		}
	}
	all := make([]*rpm.Package, 0, len(newest))
	for _, p := range newest {
		all = append(all, p)
	}
	return all, nil
}

// together are the names of as many packages as can be installed on one system.
func (t *Trial) together(ctx context.Context, packages []*rpm.Package) ([]string, error) {
	image, err := t.image(ctx)
	if err != nil {
		return nil, err
	}
	if packages, err = installable(ctx, packages, image, t.cell.Arch); err != nil {
		return nil, err
	}
	set := overlap.NewSet(packages, provided(image))
	var names []string
	for i, p := range packages {
		if set.Add(i) {
			names = append(names, p.Name)
		}
	}
	return names, nil
}

// installable leaves out what has a requirement that nothing provides, and what then
// has one.
func installable(ctx context.Context, packages []*rpm.Package, image *closure.Package, arch string) ([]*rpm.Package, error) {
	for {
		list := &closure.List{Name: "the old packages"}
		for _, p := range packages {
			list.Of = append(list.Of, closure.FromHeader(p, p.NEVRA()))
		}
		opt := closure.Options{Tested: []closure.Repository{list}, Architectures: []string{arch}}
		if image != nil {
			opt.Base = []closure.Repository{&closure.List{Name: "the image", Of: []closure.Package{*image}}}
		}
		r, err := closure.Check(ctx, opt)
		if err != nil || len(r.Missing) == 0 {
			return packages, err
		}
		bad := map[string]bool{}
		for _, m := range r.Missing {
			bad[m.ID] = true
		}
		packages = slices.DeleteFunc(slices.Clone(packages), func(p *rpm.Package) bool { return bad[p.NEVRA()] })
	}
}

// offers is what the cell's users will be offered.
func (t *Trial) offers(ctx context.Context) (offered, error) {
	trees := []Tree{{Name: "the snapshot", Dir: t.cell.Snapshot.Dir}}
	if t.cell.Base != nil {
		trees = append(trees, *t.cell.Base)
	}
	all, err := t.headersOf(ctx, trees)
	o := offered{}
	for _, p := range all {
		o[p.Name] = p
	}
	return o, err
}

// offered implements [upgrade.Offers].
type offered map[string]*rpm.Package

// rank is 0 for packages that are offered in another version than they have.
func (o offered) rank(p *rpm.Package) int {
	if evr, ok := o.Newest(p.Name, p.Arch); ok && evr.Compare(p.EVR()) != 0 {
		return 0
	}
	return 1
}

// Newest implements [upgrade.Offers]. A package is the same when it becomes noarch, or
// ceases to be.
func (o offered) Newest(name, _ string) (rpm.EVR, bool) {
	p, ok := o[name]
	if !ok {
		return rpm.EVR{}, false
	}
	return p.EVR(), true
}

// Obsoletes implements [upgrade.Offers].
func (o offered) Obsoletes(old client.Installed) string {
	evr := old.EVR
	if evr.Epoch == "0" {
		evr.Epoch = ""
	}
	for _, p := range o {
		for d := range p.Obsoletes() {
			if !d.Rich() && d.SatisfiedBy(rpm.Dependency{Name: old.Name, Flags: rpm.Equal, Version: evr.String()}) {
				return p.NEVRA()
			}
		}
	}
	return ""
}

// baseList is what closure is told of the repository that the snapshot is an overlay on.
func (t *Trial) baseList(ctx context.Context) ([]closure.Repository, error) {
	image, err := base.Provided(ctx, t.store, t.sandbox, "image of "+t.cell.String(), t.cell.Image)
	if err != nil || t.cell.Base == nil {
		return []closure.Repository{image}, err
	}
	below, err := repodata.Open(ctx, t.cell.Base.Dir)
	return []closure.Repository{image, below}, err
}

// Older tells the packages of a snapshot that its users would not get, because what it
// is an overlay on has them in a newer version, or otherwise in the same.
func (t *Trial) Older(ctx context.Context) ([]string, error) {
	if t.cell.Base == nil {
		return nil, nil
	}
	own, err := t.tested(ctx)
	if err != nil {
		return nil, err
	}
	below, err := repodata.Open(ctx, t.cell.Base.Dir)
	if err != nil {
		return nil, err
	}
	records, err := below.Records(ctx)
	if err != nil {
		return nil, err
	}
	var older []string
	for _, h := range own {
		p := h.header
		for _, rec := range records {
			if rec.Name != p.Name || rec.Arch != p.Arch || rec.Checksum.Type+":"+rec.Checksum.Value == h.digest {
				continue
			}
			evr := client.Installed{Name: rec.Name, Arch: rec.Arch, EVR: rec.EVR}
			switch c := p.EVR().Compare(rec.EVR); {
			case c < 0:
				older = append(older, fmt.Sprintf("%s is older than %s of %s", p.NEVRA(), evr, t.cell.Base.Name))
			case c == 0:
				older = append(older, fmt.Sprintf("%s is not newer than %s of %s", p.NEVRA(), evr, t.cell.Base.Name))
			}
		}
	}
	slices.SortFunc(older, strings.Compare)
	return slices.Compact(older), nil
}
