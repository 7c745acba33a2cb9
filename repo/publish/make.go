package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Snapshot is a complete, signed repository that never changes.
type Snapshot struct {
	ID       string
	Dir      string // absolute
	Root     string
	Release  string
	Target   string
	Packages int
	Existed  bool // nothing had to be written
}

// formatVersion changes whenever the same packages give another snapshot.
const formatVersion = "1"

// Make makes the snapshot of these packages, or finds it made. Nothing refers
// to it until it is published. Packages are hard links into the store, copies
// where the store is on another file system.
func Make(ctx context.Context, st *store.Store, spec Spec, packages []Package) (Snapshot, error) {
	snap, err := spec.make(ctx, st, packages)
	if err != nil {
		return Snapshot{}, fmt.Errorf("making a snapshot of %s %s: %w", spec.Target, spec.Release, err)
	}
	return snap, nil
}

func (s Spec) make(ctx context.Context, st *store.Store, packages []Package) (Snapshot, error) {
	if err := s.check(); err != nil {
		return Snapshot{}, err
	}
	root, err := filepath.Abs(s.Root)
	if err != nil {
		return Snapshot{}, err
	}
	items, err := s.collect(ctx, st, packages)
	if err != nil {
		return Snapshot{}, err
	}
	repoFile, err := s.repoFile()
	if err != nil {
		return Snapshot{}, err
	}
	at := s.Time
	for _, it := range items {
		if s.Time.IsZero() && it.built.After(at) {
			at = it.built
		}
	}
	if at = at.UTC().Truncate(time.Second); at.IsZero() {
		at = s.Key.Created().UTC() // an empty repository
	}
	parent := snapshotsDir(root, s.Target)
	snap := Snapshot{ID: s.id(items, repoFile, at), Root: root, Release: s.Release, Target: s.Target, Packages: len(items)}
	snap.Dir = filepath.Join(parent, snap.ID)
	if _, err := os.Lstat(snap.Dir); err == nil {
		snap.Existed = true
		return snap, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Snapshot{}, err
	}
	tmp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return Snapshot{}, err
	}
	defer os.RemoveAll(tmp) // after the rename there is nothing to remove
	if err := os.Chmod(tmp, 0o755); err != nil {
		return Snapshot{}, err
	}
	if err := s.fill(ctx, st, tmp, items, repoFile, at); err != nil {
		return Snapshot{}, err
	}
	if err := os.Rename(tmp, snap.Dir); errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		snap.Existed = true // another process made it meanwhile
	} else if err != nil {
		return Snapshot{}, err
	}
	return snap, syncDir(parent)
}

func (s Spec) repoFile() ([]byte, error) {
	r, err := s.Repo("")
	if err != nil {
		return nil, err
	}
	return RepoFile(r)
}

// id is a digest of all that determines the snapshot's bytes.
func (s Spec) id(items []item, repoFile []byte, at time.Time) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q %q %q %q %d\n%x\n%x\n", formatVersion, s.Release, s.Target, s.Arches, s.Compression, at.Unix(),
		sha256.Sum256(repoFile), sha256.Sum256(s.Key.PublicKey()))
	for _, it := range items {
		fmt.Fprintf(h, "%q %s\n", it.place, it.Digest)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// fill makes a whole snapshot in dir, durable but for dir's own name.
func (s Spec) fill(ctx context.Context, st *store.Store, dir string, items []item, repoFile []byte, at time.Time) error {
	for _, sub := range append([]string{noarchDir, sourceDir, rpmmd.Dir}, s.Arches...) {
		sub = filepath.Join(dir, sub)
		if err := errors.Join(os.Mkdir(sub, 0o755), os.Chmod(sub, 0o755)); err != nil { // whatever the umask
			return err
		}
	}
	w, err := rpmmd.NewWriter(dir, len(items), rpmmd.Options{Time: at, Compression: s.Compression})
	if err != nil {
		return err
	}
	defer w.Discard()
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(it.place))
		if err := place(st, it.Digest, path); err != nil {
			return fmt.Errorf("package %s: %w", it.place, err)
		}
		p, err := rpm.ReadFile(path)
		if err != nil {
			return err
		}
		if err := w.Add(rpmmd.Entry{Package: p, Location: it.place, SHA256: it.Digest.Hex()}); err != nil {
			return err
		}
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	if err != nil {
		return err
	}
	var signature bytes.Buffer
	if err := s.Key.SignDetached(&signature, bytes.NewReader(repomd), at); err != nil {
		return err
	}
	for name, b := range map[string][]byte{
		rpmmd.RepomdFile + ".asc": signature.Bytes(),
		rpmmd.RepomdFile + ".key": s.Key.PublicKey(),
		KeyFile(s.Release):        s.Key.PublicKey(),
		RepoFileName:              repoFile,
	} {
		if err := writeFile(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

// place puts a package where it belongs. A copy is made durable; what a link
// leads to already is.
func place(st *store.Store, d store.Digest, path string) error {
	if err := st.Link(d, path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok && sys.Nlink > 1 {
		return nil
	}
	return errors.Join(f.Chmod(0o444), f.Sync())
}

func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()) // whatever the umask
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
