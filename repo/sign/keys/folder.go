// Package keys keeps the signing key of a state folder, and the keys that have
// signed before it: they do not sign any more, but clients are still to know them,
// for a time of transition.
package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// Folder is a folder of keys:
//
//	signing.asc                 the private key that signs, when it is in no other place
//	signing.asc.<FINGERPRINT>   private keys that were replaced
//	retired/<FINGERPRINT>.asc   public keys that are still published
type Folder struct {
	dir    string
	source Source
}

// Open names a folder, which need not be there yet, and the place of its key.
func Open(dir string, s Source) (*Folder, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return &Folder{dir: dir, source: s}, nil
}

// ErrNoKey says that there is no key yet.
var ErrNoKey = errors.New("there is no signing key yet")

// Key is the key that signs, with the retired ones that are published beside it.
// It fails with ErrNoKey when its file is not there.
func (f *Folder) Key(ctx context.Context) (*sign.Key, error) {
	k, err := f.load(ctx)
	switch {
	case errors.Is(err, sign.ErrKeyInvalid):
		return nil, fmt.Errorf("%w; ohpc-build key rotate replaces it", err)
	case errors.Is(err, fs.ErrNotExist) && !f.source.elsewhere():
		return nil, fmt.Errorf("%w: %s does not exist", ErrNoKey, f.path())
	case err != nil:
		return nil, err
	}
	retired, err := f.retired()
	if err != nil {
		return nil, err
	}
	return k.WithRetired(retired), nil
}

// KeyOrNew is Key, or a new key where none was named and none is there.
func (f *Folder) KeyOrNew(ctx context.Context, p sign.Params) (*sign.Key, error) {
	k, err := f.Key(ctx)
	if !errors.Is(err, ErrNoKey) || f.source.File != "" {
		return k, err
	}
	if k, err = f.Generate(ctx, p); err != nil {
		// Another process may have been faster; then its key is the one.
		if other, lerr := f.Key(ctx); lerr == nil {
			return other, nil
		}
	}
	return k, err
}

// Generate makes the key, which must not be there yet.
func (f *Folder) Generate(ctx context.Context, p sign.Params) (*sign.Key, error) {
	if f.source.elsewhere() {
		return nil, fmt.Errorf("the configuration names a key that is elsewhere (%s): make it there", f)
	}
	if _, err := os.Lstat(f.path()); err == nil {
		return nil, f.thereAlready()
	}
	k, err := sign.Generate(p)
	if err != nil {
		return nil, err
	}
	if err := k.Save(f.path()); err != nil {
		if _, lerr := os.Lstat(f.path()); lerr == nil { // another process was faster
			err = f.thereAlready()
		}
		return nil, err
	}
	return f.Key(ctx)
}

func (f *Folder) thereAlready() error {
	return fmt.Errorf("%s is there already; ohpc-build key rotate replaces it, ohpc-build key show tells what it is", f.path())
}

// Rotation is what came of a rotation.
type Rotation struct {
	Old     sign.Public
	Key     *sign.Key // the new key; nil when it is to be made elsewhere
	Private string    // file that the old private half is in now
}

// Rotate replaces the key by a new one and goes on publishing the public half of
// the old one. A key that is elsewhere is only marked as old: its successor is made
// there and named in the configuration.
func (f *Folder) Rotate(ctx context.Context, p sign.Params) (Rotation, error) {
	r, err := f.rotate(ctx, p)
	if err != nil {
		return r, fmt.Errorf("rotating the signing key: %w", err)
	}
	return r, nil
}

func (f *Folder) rotate(ctx context.Context, p sign.Params) (r Rotation, err error) {
	if f.source.elsewhere() {
		k, err := f.load(ctx)
		if err != nil {
			return r, err
		}
		r.Old = k.Keyring().Keys()[0]
		return r, f.retire(k.Keyring())
	}
	old, err := sign.LoadPublic(f.path()) // which may have expired
	if err != nil {
		return r, err
	}
	r.Old = old.Keys()[0]
	r.Private = f.path() + "." + r.Old.Fingerprint
	k, err := sign.Generate(p)
	if err != nil {
		return r, err
	}
	next := f.path() + ".new-" + k.Fingerprint()
	if err := k.Save(next); err != nil {
		return r, err
	}
	defer os.Remove(next) // after the rename there is nothing to remove
	if err := f.retire(old); err != nil {
		return r, err
	}
	// At each moment there is a key, and one that was used is never without its
	// public half.
	if err := os.Link(f.path(), r.Private); err != nil && !errors.Is(err, fs.ErrExist) {
		return r, err
	}
	if err := os.Chmod(r.Private, 0o600); err != nil {
		return r, err
	}
	if err := os.Rename(next, f.path()); err != nil {
		return r, err
	}
	r.Key, err = f.Key(ctx)
	return r, err
}

func (f *Folder) retiredPath(fingerprint string) string {
	return filepath.Join(f.dir, "retired", fingerprint+".asc")
}

// retire writes a public key where it is published from.
func (f *Folder) retire(k *sign.Keyring) error {
	path := f.retiredPath(k.Fingerprints()[0])
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		os.Remove(tmp.Name())
	}()
	text, err := k.Armored()
	if err != nil {
		return err
	}
	if _, err := tmp.Write(text); err != nil {
		return err
	}
	return errors.Join(tmp.Chmod(0o644), tmp.Sync(), tmp.Close(), os.Rename(tmp.Name(), path))
}

// retired reads the public keys that are still published, in the order of their
// fingerprints.
func (f *Folder) retired() (*sign.Keyring, error) {
	entries, err := os.ReadDir(filepath.Dir(f.retiredPath("")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the retired keys: %w", err)
	}
	all := &sign.Keyring{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".asc")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		path := f.retiredPath(name)
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the retired keys: %w", err)
		}
		kr, err := sign.ReadKeyring(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("reading the retired key %s: %w", path, err)
		}
		if got := kr.Fingerprints(); len(got) != 1 || got[0] != name {
			return nil, fmt.Errorf("reading the retired key %s: it holds %s; a file is named by the one key in it", path, strings.Join(got, ", "))
		}
		all = all.With(kr)
	}
	return all, nil
}

// Drop ends the publication of a retired key.
func (f *Folder) Drop(ctx context.Context, fingerprint string) error {
	fingerprint = strings.ToUpper(strings.ReplaceAll(fingerprint, " ", ""))
	retired, err := f.retired()
	if err != nil {
		return err
	}
	for _, have := range retired.Fingerprints() {
		if have != fingerprint {
			continue
		}
		if err := os.Remove(f.retiredPath(have)); err != nil {
			return fmt.Errorf("retiring key %s: %w", fingerprint, err)
		}
		return nil
	}
	if k, err := f.load(ctx); err == nil && k.Fingerprint() == fingerprint {
		return fmt.Errorf("key %s is the one that signs; ohpc-build key rotate replaces it first", fingerprint)
	}
	return fmt.Errorf("no old key %s is published; ohpc-build key show lists them", fingerprint)
}
