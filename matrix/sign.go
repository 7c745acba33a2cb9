package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

// recordSigned is the kind of records that tell the signed form of a package by
// its unsigned digest and the key's fingerprint. The number is that of the form:
// packages that were signed otherwise are signed anew.
const recordSigned = "signed-2"

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
	f, err := os.Open(in)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", "", err
	}
	// It goes from the store into the store in one pass: read, verified, signed,
	// hashed and written once. The signature carries the package's own time, not
	// the clock's: the same package signed twice with one key is the same file.
	signed, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := m.key.SignPackage(ctx, f, fi.Size(), w, header.BuildTime)
		w.CloseWithError(err)
		done <- err
	}()
	d, _, err = m.store.Put(ctx, signed)
	signed.CloseWithError(err) // whoever still writes is to end
	if serr := <-done; serr != nil && errors.Is(err, serr) {
		err = serr // the store only tells of it
	}
	if err != nil {
		return "", "", err
	}
	return d, "signed", m.store.PutRecord(recordSigned, name, d)
}
