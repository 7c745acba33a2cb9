package matrix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// recordSigned is the kind of records that tell the signed form of a package by
// its unsigned digest and the key's fingerprint.
const recordSigned = "signed"

// KeyPath is where the signing key of a state folder is.
func KeyPath(state string) string { return filepath.Join(state, "keys", "signing.asc") }

// SigningKey loads a state folder's signing key, or makes one where there is none:
// nothing leaves here unsigned (decision 7).
func SigningKey(state, name, email string) (*sign.Key, error) {
	path := KeyPath(state)
	key, err := sign.LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, err = sign.Generate(sign.Params{Name: name, Comment: "built by ohpc-build", Email: email})
	if err != nil {
		return nil, err
	}
	if err := key.Save(path); err != nil {
		// Another process may have been faster; then its key is the one.
		if other, lerr := sign.LoadKey(path); lerr == nil {
			return other, nil
		}
		return nil, err
	}
	return key, nil
}

// signPackages signs every package of every job, those that have not been signed
// with this key before.
func (m *Matrix) signPackages(ctx context.Context) error {
	var packages []buildroot.Package
	for _, j := range m.jobs.Plan.Jobs {
		if r := m.jobs.Result(j.ID); r != nil {
			packages = append(packages, r.Packages...)
		}
	}
	stage := m.opt.Progress.Stage("sign", len(packages))
	defer stage.Close()
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(m.opt.Jobs)
	for _, p := range packages {
		g.Go(func() error {
			stage.Begin(p.File)
			signed, how, err := m.signPackage(ctx, p)
			if err != nil {
				stage.End(p.File, "failed: "+err.Error())
				return fmt.Errorf("signing %s: %w", p.File, err)
			}
			mu.Lock()
			m.signed[p.Digest] = signed
			mu.Unlock()
			stage.End(p.File, how)
			return nil
		})
	}
	return g.Wait()
}

func (m *Matrix) signPackage(ctx context.Context, p buildroot.Package) (d store.Digest, how string, err error) {
	name := string(p.Digest) + " " + m.key.Fingerprint()
	if err := m.store.Record(recordSigned, name, &d); err == nil {
		if _, err := m.store.Path(d); err == nil {
			return d, "signed before", nil
		}
	}
	header, err := m.jobs.Header(p.Digest)
	if err != nil {
		return "", "", err
	}
	in, err := m.store.Path(p.Digest)
	if err != nil {
		return "", "", err
	}
	dir, err := m.store.Temp("sign-")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "signed.rpm")
	// The signature carries the package's own time, not the clock's: the same
	// package signed twice with one key is the same file.
	if err := m.key.SignPackageFile(ctx, in, out, header.BuildTime); err != nil {
		return "", "", err
	}
	if d, _, err = m.store.PutFile(ctx, out); err != nil {
		return "", "", err
	}
	return d, "signed", m.store.PutRecord(recordSigned, name, d)
}
