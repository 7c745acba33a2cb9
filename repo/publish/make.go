package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
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
// one, whose clients trust the key. Who holds the tree's lock says so.
func Empty(ctx context.Context, key *sign.Key, like snapshot.Snapshot, held *lock.Lock) (snapshot.Snapshot, error) {
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
	return Make(ctx, nil, Spec{Root: like.Root, Release: like.Release, Target: like.Target, Arches: like.Arches, BaseURL: like.URL, Key: key, Held: held}, nil)
}

func (s Spec) make(ctx context.Context, st *store.Store, packages []Package) (snapshot.Snapshot, error) {
	if err := s.check(); err != nil {
		return snapshot.Snapshot{}, err
	}
	root, err := filepath.Abs(s.Root)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	m := s.recall()
	items, used, err := s.collect(ctx, st, m, packages)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	clientFile, err := s.ClientFile("")
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	documents, err := s.documents(ctx, st, m, items)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	at := s.time(items)
	manifest := s.manifest(items, clientFile, at)
	manifest.Documents = documentsDigest(documents)
	about, id, err := manifest.Encode()
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	snap, err := s.adopt(ctx, root, id)
	if errors.Is(err, fs.ErrNotExist) {
		p := production{
			Spec: s, store: st, memory: m, items: items, documents: documents, at: at,
			files: map[string][]byte{snapshot.ManifestFile: about, layout.RepoFileName: clientFile, layout.KeyFile(s.Release): s.Key.PublicKey()},
		}
		snap, err = p.make(ctx, root, id)
	}
	if err != nil {
		return snap, err
	}
	m.made(id, items)
	if err := m.save(st, used); err != nil && s.Log != nil {
		s.Log.Warn("the next snapshot will take as long as the first one", "target", s.Target, "error", err)
	}
	return snap, nil
}

// time is that of the metadata.
func (s Spec) time(items []item) time.Time {
	at := s.Time
	for _, it := range items {
		if built := it.known.built(); s.Time.IsZero() && built.After(at) {
			at = built
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
	err = lock.Sharing(ctx, root, s.Held, func() error {
		if snap, err = snapshot.Open(root, s.Target, id); err != nil {
			return err
		}
		now := time.Now()
		return os.Chtimes(snap.Dir, now, now)
	})
	snap.Existed = true
	return snap, err
}
