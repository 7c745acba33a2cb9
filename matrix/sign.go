package matrix

import (
	"context"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/signing"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

// Keys is the folder of keys in a state folder, with the key itself where the
// source says.
func Keys(state string, source keys.Source) (*keys.Folder, error) {
	folder, err := keys.Open(filepath.Join(state, "keys"), source)
	if err != nil {
		return nil, &UsageError{err}
	}
	return folder, nil
}

// KeyParams say what key is made where there is none.
func KeyParams(name, email string) sign.Params {
	return sign.Params{Name: name, Comment: "built by ohpc-build", Email: email}
}

// signingKey is the run's key, which is made where there is none: nothing leaves
// here unsigned (decision 7).
func (m *Matrix) signingKey(ctx context.Context) (*sign.Key, error) {
	folder, err := Keys(m.opt.State, m.opt.Key)
	if err != nil {
		return nil, err
	}
	return folder.KeyOrNew(ctx, KeyParams(m.opt.KeyName, m.opt.KeyEmail))
}

// signPackages signs every package of every job, those that have not been signed
// with this key before.
func (m *Matrix) signPackages(ctx context.Context) (err error) {
	var packages []buildroot.Package
	for _, j := range m.jobs.Plan.Jobs {
		if r := m.jobs.Result(j.ID); r != nil {
			packages = append(packages, r.Packages...)
		}
	}
	stage := m.opt.Progress.Stage("sign", len(packages))
	defer stage.Close()
	m.signed, err = signing.New(m.store, m.key, m.jobs).Packages(ctx, packages, m.opt.Jobs, stage)
	return err
}

// signPackage signs one that no job has made.
func (m *Matrix) signPackage(ctx context.Context, p buildroot.Package) (d store.Digest, how string, err error) {
	return signing.New(m.store, m.key, m.jobs).Package(ctx, p)
}
