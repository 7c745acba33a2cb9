package signing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// Signer signs packages of a store with one key. It is safe for concurrent use.
type Signer struct {
	store   *store.Store
	key     *sign.Key
	headers Headers
}

// Headers reads headers of packages that are in the store.
type Headers interface {
	Header(d store.Digest) (*rpm.Package, error)
}

// Progress is shown which package is being signed.
type Progress interface {
	Begin(what string)
	End(what, how string)
}

// recordSigned is the kind of records that tell the signed form of a package by
// its unsigned digest and the key's fingerprint. The number is that of the form:
// packages that were signed otherwise are signed anew.
const recordSigned = "signed-2"

// New makes a Signer.
func New(st *store.Store, key *sign.Key, headers Headers) *Signer {
	return &Signer{store: st, key: key, headers: headers}
}

// Packages signs packages, so many at a time. It returns the digests of the signed ones
// by those of the unsigned.
func (s *Signer) Packages(ctx context.Context, packages []buildroot.Package, number int, progress Progress) (map[store.Digest]store.Digest, error) {
	all := make(map[store.Digest]store.Digest, len(packages))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(number)
	for _, p := range packages {
		g.Go(func() error {
			progress.Begin(p.File)
			signed, how, err := s.Package(ctx, p)
			if err != nil {
				progress.End(p.File, "failed: "+err.Error())
				return fmt.Errorf("signing %s: %w", p.File, err)
			}
			mu.Lock()
			all[p.Digest] = signed
			mu.Unlock()
			progress.End(p.File, how)
			return nil
		})
	}
	return all, g.Wait()
}

// Package signs one package, unless it has been signed with this key before, and returns
// the digest of the signed one and in words what was done.
func (s *Signer) Package(ctx context.Context, p buildroot.Package) (d store.Digest, how string, err error) {
	name := string(p.Digest) + " " + s.key.Fingerprint()
	if err := s.store.Record(recordSigned, name, &d); err == nil {
		if _, err := s.store.Path(d); err == nil {
			return d, "signed before", nil
		}
	}
	header, err := s.headers.Header(p.Digest)
	if err != nil {
		return "", "", err
	}
	in, err := s.store.Path(p.Digest)
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
		err := s.key.SignPackage(ctx, f, fi.Size(), w, header.BuildTime)
		w.CloseWithError(err)
		done <- err
	}()
	d, _, err = s.store.Put(ctx, signed)
	signed.CloseWithError(err) // whoever still writes is to end
	if serr := <-done; serr != nil && errors.Is(err, serr) {
		err = serr // the store only tells of it
	}
	if err != nil {
		return "", "", err
	}
	return d, "signed", s.store.PutRecord(recordSigned, name, d)
}
