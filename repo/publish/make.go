package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Make makes the snapshot of these packages, or finds it made. Nothing refers
// to it until it is published. Packages are hard links into the store, copies
// where the store is on another file system.
func Make(ctx context.Context, st *store.Store, spec Spec, packages []Package) (snapshot.Snapshot, error) {
	snap, err := spec.make(ctx, st, packages)
	if err != nil {
		return snapshot.Snapshot{}, fmt.Errorf("making a snapshot of %s %s: %w", spec.Target, spec.Release, err)
	}
	return snap, nil
}

// Empty makes a snapshot without packages for the release and target of another
// one, whose clients trust the key.
func Empty(ctx context.Context, key *sign.Key, like snapshot.Snapshot) (snapshot.Snapshot, error) {
	f, err := os.Open(filepath.Join(like.Dir, layout.KeyFile(like.Release)))
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	defer f.Close()
	trusted, err := sign.ReadKeyring(f)
	if err != nil {
		return snapshot.Snapshot{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if !slices.Contains(trusted.Fingerprints(), key.Fingerprint()) {
		return snapshot.Snapshot{}, fmt.Errorf("clients of snapshot %s do not trust the key %s: it is not in %s", like.ID, key.Fingerprint(), f.Name())
	}
	return Make(ctx, nil, Spec{Root: like.Root, Release: like.Release, Target: like.Target, Arches: like.Arches, BaseURL: like.URL, Key: key}, nil)
}

func (s Spec) make(ctx context.Context, st *store.Store, packages []Package) (snapshot.Snapshot, error) {
	if err := s.check(); err != nil {
		return snapshot.Snapshot{}, err
	}
	root, err := filepath.Abs(s.Root)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	items, err := s.collect(ctx, st, packages)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	clientFile, err := s.ClientFile("")
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	documents, err := s.documents(ctx, st, items)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	at := s.time(items)
	m := s.manifest(items, clientFile, at)
	m.Documents = documentsDigest(documents)
	about, id, err := m.Encode()
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	if snap, err := s.adopt(ctx, root, id); !errors.Is(err, fs.ErrNotExist) {
		return snap, err
	}
	tmp, err := lock.NewScratch(ctx, root, filepath.Join(root, filepath.FromSlash(layout.SnapshotDir(s.Target, ""))))
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	snap, err := s.write(ctx, st, tmp.Dir, root, id, at, items, documents, map[string][]byte{
		snapshot.ManifestFile: about, layout.RepoFileName: clientFile, layout.KeyFile(s.Release): s.Key.PublicKey(),
	})
	return snap, errors.Join(err, tmp.Discard())
}

// time is that of the metadata.
func (s Spec) time(items []item) time.Time {
	at := s.Time
	for _, it := range items {
		if s.Time.IsZero() && it.built.After(at) {
			at = it.built
		}
	}
	if at = at.UTC().Truncate(time.Second); at.IsZero() {
		at = s.Key.Created().UTC() // an empty repository
	}
	return at
}

func (s Spec) manifest(items []item, clientFile []byte, at time.Time) snapshot.Manifest {
	var contents snapshot.Contents
	for _, it := range items {
		contents.Add(it.place, it.Digest.Hex())
	}
	return snapshot.Manifest{
		Version: snapshot.ManifestVersion, Release: s.Release, Target: s.Target, Architectures: s.Arches, URL: s.BaseURL,
		Compression: string(s.Compression), Time: at.Unix(), Key: snapshot.Digest(s.Key.PublicKey()), ClientFile: snapshot.Digest(clientFile),
		Packages: contents.Packages(), Contents: contents.Digest(),
	}
}

// adopt takes a snapshot that was made before. Its folder's time says that it is
// wanted, so that it is not removed before it can be published.
func (s Spec) adopt(ctx context.Context, root, id string) (snap snapshot.Snapshot, err error) {
	if _, err := os.Lstat(filepath.Join(root, filepath.FromSlash(layout.SnapshotDir(s.Target, id)))); err != nil {
		return snapshot.Snapshot{}, err
	}
	err = lock.Sharing(ctx, root, func() error {
		if snap, err = snapshot.Open(root, s.Target, id); err != nil {
			return err
		}
		now := time.Now()
		return os.Chtimes(snap.Dir, now, now)
	})
	snap.Existed = true
	return snap, err
}

// write makes the snapshot in a folder of its own and gives it its name.
func (s Spec) write(ctx context.Context, st *store.Store, tmp, root, id string, at time.Time, items []item, documents []rpmmd.Document, files map[string][]byte) (snapshot.Snapshot, error) {
	if err := s.fill(ctx, st, tmp, items, documents, files, at); err != nil {
		return snapshot.Snapshot{}, err
	}
	dir := filepath.Join(root, filepath.FromSlash(layout.SnapshotDir(s.Target, id)))
	switch err := os.Rename(tmp, dir); {
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return s.adopt(ctx, root, id) // another process made it meanwhile
	case err != nil:
		return snapshot.Snapshot{}, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return snapshot.Snapshot{}, err
	}
	return snapshot.Open(root, s.Target, id)
}

// fill makes a whole snapshot in dir, durable but for dir's own name.
func (s Spec) fill(ctx context.Context, st *store.Store, dir string, items []item, documents []rpmmd.Document, files map[string][]byte, at time.Time) error {
	for _, sub := range append([]string{noarchDir, sourceDir, rpmmd.Dir}, s.Arches...) {
		sub = filepath.Join(dir, sub)
		if err := errors.Join(os.Mkdir(sub, 0o755), os.Chmod(sub, 0o755)); err != nil { // whatever the umask
			return err
		}
	}
	w, err := rpmmd.NewWriter(dir, len(items), rpmmd.Options{Time: at, Compression: s.Compression, Documents: documents})
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
	signed, err := rpmmd.Sign(repomd, s.Key, at)
	if err != nil {
		return err
	}
	for name, b := range signed {
		files[path.Join(rpmmd.Dir, name)] = b
	}
	for name, b := range files {
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
