package trial

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/client"
	"github.com/ohpc-build/ohpc-build/validate/install"
	"github.com/ohpc-build/ohpc-build/validate/overlap"
)

// Names of checks in a target. One of installations with a single package manager has
// that behind its name: install-dnf.
const (
	installCheck = "install"
	upgradeCheck = "upgrade"
)

// Divide says which of the packages that belong together, of one recipe's variant, are
// installed together. A package without files is a meta-package, and tried alone: what
// it brings along must come from it. Others are tried together unless they exclude each
// other. Source packages are passed over.
func Divide(subject string, packages []*rpm.Package) []Install {
	var all []Install
	var together []*rpm.Package
	packages = slices.DeleteFunc(slices.Clone(packages), (*rpm.Package).Source)
	for _, p := range packages {
		switch {
		case p.FileCount() == 0 && len(packages) > 1:
			all = append(all, Install{p.Name, []string{p.Name}})
		default:
			together = append(together, p)
		}
	}
	var groups []Install
	var sets []*overlap.Set
	empty := overlap.NewSet(together, nil)
	for i, p := range together {
		at := slices.IndexFunc(sets, func(s *overlap.Set) bool { return s.Add(i) })
		if at < 0 {
			at = len(sets)
			set := empty.Empty()
			set.Add(i)
			sets, groups = append(sets, set), append(groups, Install{Subject: subject})
		}
		groups[at].Packages = append(groups[at].Packages, p.Name)
	}
	if len(groups) > 1 {
		for i := range groups {
			groups[i].Subject += " (" + strings.Join(groups[i].Packages, " ") + ")"
		}
	}
	return append(groups, all...)
}

func (t *Trial) tryInstall(ctx context.Context, k check) (validate.Check, error) {
	p, err := t.prepare(ctx, k.manager)
	if refused := new(PreparationError); errors.As(err, &refused) {
		return validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Fail, Reason: refused.Error()}, nil
	}
	if err != nil {
		return validate.Check{}, err
	}
	changes, err := os.MkdirTemp(t.dir, "install-")
	if err != nil {
		return validate.Check{}, err
	}
	defer remove(changes)
	if err := os.Chmod(changes, 0o755); err != nil { // it is the root folder
		return validate.Check{}, err
	}
	trial := &install.Trial{
		Client: p.client, Name: k.name, Subject: k.subject, Packages: k.install.Packages,
		Prepared: p.base(), Before: p.system, Below: slices.Concat(p.base(), t.cell.Image.Layers), Changes: changes,
		Header: func(i client.Installed) *rpm.Package { return t.header(ctx, i) },
	}
	return trial.Run(ctx), nil
}

// remove removes what a container changed, and the sandbox's folder beside it.
func remove(changes string) {
	os.RemoveAll(changes)
	os.RemoveAll(changes + ".work")
}

// header finds a package of the snapshot or of what it is an overlay on.
func (t *Trial) header(ctx context.Context, i client.Installed) *rpm.Package {
	all, err := t.tested(ctx)
	if err != nil {
		return nil
	}
	for _, h := range all {
		if h.header.Name == i.Name && h.header.Arch == i.Arch && h.header.EVR().Compare(i.EVR) == 0 {
			return h.header
		}
	}
	return nil
}

// installName names an installation by all packages that may have a part in it
// ([reach]): when another package of the snapshot changes, it need not be tried again.
func (t *Trial) installName(ctx context.Context, k check) (string, error) {
	all, err := t.tested(ctx)
	if err != nil {
		return "", err
	}
	parts := []string{format, "closer", k.name, k.subject, t.cell.String(), string(t.cell.Image.Digest), string(store.Of(t.cell.PublicKey))}
	if t.cell.Base != nil {
		parts = append(parts, "on "+t.cell.Base.ID)
	}
	parts = append(append(parts, k.install.Packages...), "of")
	for _, h := range reach(all, k.install.Packages) {
		parts = append(parts, h.header.NEVRA()+" "+h.digest)
	}
	return strings.Join(parts, "\n"), nil
}
