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

// tryUpgrade upgrades what there was before: what can be installed together at once, and
// what excludes that in further systems.
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
	sets, left, err := t.together(ctx, old, func(p *rpm.Package) bool { _, ok := offers[p.Name]; return ok })
	if err != nil {
		return validate.Check{}, err
	}
	if len(sets) == 0 {
		return skip(strings.Join(append([]string{"the old repository has no package for this architecture that can be installed"}, lines(left)...), "\n"))
	}
	whole := validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Pass}
	var reasons []string
	for i, names := range sets {
		title := "all"
		if len(sets) > 1 {
			title = fmt.Sprintf("set %d of %d", i+1, len(sets))
		}
		one, err := t.upgradeSet(ctx, k, names, offers)
		if err != nil {
			return validate.Check{}, err
		}
		whole.Log = fmt.Appendf(whole.Log, "%s: %s\n%s\n", title, strings.Join(names, " "), one.Log)
		whole.Duration += one.Duration
		whole.Cases = append(whole.Cases, validate.Case{
			Name: title + ": " + firstOf(names), Outcome: one.Outcome, Reason: one.Reason, Duration: one.Duration,
		})
		switch {
		case one.Outcome == validate.Fail && len(sets) > 1:
			reasons = append(reasons, title+": "+one.Reason)
		case one.Outcome != validate.Pass:
			reasons = append(reasons, one.Reason)
		}
		if one.Outcome != validate.Pass && whole.Outcome != validate.Fail {
			whole.Outcome = one.Outcome
		}
	}
	for _, l := range left {
		whole.Log = fmt.Appendf(whole.Log, "not upgraded: %s\n", l)
		whole.Cases = append(whole.Cases, validate.Case{Name: l.name, Outcome: validate.Skip, Reason: l.why})
	}
	if len(whole.Cases) == 1 { // it is the check
		whole.Cases = nil
	}
	whole.Reason = strings.Join(reasons, "\n")
	return whole, nil
}

// upgradeSet upgrades packages that can be installed together.
func (t *Trial) upgradeSet(ctx context.Context, k check, names []string, offers offered) (validate.Check, error) {
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

// firstOf is the first of some names and how many there are.
func firstOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// leftOut is a package of the old repositories that is not upgraded.
type leftOut struct{ name, why string }

func (l leftOut) String() string { return l.name + ": " + l.why }

// lines are some of what was left out, for a reason.
func lines(left []leftOut) []string {
	var all []string
	for _, l := range left[:min(len(left), maxReasons)] {
		all = append(all, l.String())
	}
	return all
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

// together are the names of packages, in sets each of which can be installed on one
// system, and those that cannot be, or need not be. Each package that is offered still
// is in a set if there is a way to install it.
func (t *Trial) together(ctx context.Context, packages []*rpm.Package, offered func(*rpm.Package) bool) (sets [][]string, left []leftOut, err error) {
	image, err := t.image(ctx)
	if err != nil {
		return nil, nil, err
	}
	if packages, left, err = installable(ctx, packages, image, t.cell.Arch); err != nil {
		return nil, nil, err
	}
	numbers, refused, err := overlap.Sets(ctx, packages, provided(image), func(i int) bool { return offered(packages[i]) })
	if err != nil {
		return nil, nil, err
	}
	for _, set := range numbers {
		var names []string
		for _, i := range set {
			names = append(names, packages[i].Name)
		}
		sets = append(sets, names)
	}
	for _, r := range refused {
		p := packages[r.Package]
		if !offered(p) {
			r.Why = "it is not offered any more, and there is no room for it: " + r.Why
		}
		left = append(left, leftOut{p.NEVRA(), r.Why})
	}
	return sets, left, nil
}

// installable leaves out what has a requirement that nothing provides, and what then
// has one.
func installable(ctx context.Context, packages []*rpm.Package, image *closure.Package, arch string) (good []*rpm.Package, left []leftOut, err error) {
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
			return packages, left, err
		}
		bad := map[string]bool{}
		for _, m := range r.Missing {
			if !bad[m.ID] {
				left = append(left, leftOut{m.Package, "it requires " + m.Requirement + ", which nothing provides that can be installed"})
			}
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
