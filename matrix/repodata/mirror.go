package repodata

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

const (
	maxSmall    = 4 << 20   // bytes of repomd.xml and of what stands beside it
	maxPackage  = 16 << 30  // bytes of one package
	maxMetadata = 4 << 30   // bytes of all metadata
	maxMirror   = 200 << 30 // bytes of all packages that are downloaded
)

// Records are what primary says of each package: where its file is, how large it is
// and its digest.
func (r *Repository) Records(ctx context.Context) ([]rpmmd.Record, error) {
	var all []rpmmd.Record
	err := r.read(ctx, "primary", func(data io.Reader) error {
		_, err := rpmmd.ReadPrimary(data, func(rec rpmmd.Record) error {
			if rec.Base != "" || !fs.ValidPath(rec.Location) || rec.Location == "." || strings.ContainsAny(rec.Location, "\\\x00\n\r") {
				return fmt.Errorf("package %.100q is not in the repository but at %.200q", rec.Name, rec.Base+rec.Location)
			}
			if rec.Size <= 0 || rec.Size > maxPackage {
				return fmt.Errorf("package %s has %d bytes", rec.Location, rec.Size)
			}
			all = append(all, rec)
			return nil
		})
		return err
	})
	return all, err
}

// Verify compares a package's file with what the metadata say of it.
func Verify(ctx context.Context, rec rpmmd.Record, file io.Reader) error {
	v := &verifier{rec: rec, hash: sha256.New()}
	if _, err := io.Copy(v, &interruptible{ctx, io.LimitReader(file, rec.Size+1)}); err != nil {
		return fmt.Errorf("reading %s: %w", rec.Location, err)
	}
	return v.check()
}

// verifier looks at a package's file as it is written somewhere.
type verifier struct {
	rec  rpmmd.Record
	hash hash.Hash
	size int64
}

// Write never fails.
func (v *verifier) Write(b []byte) (int, error) {
	v.size += int64(len(b))
	return v.hash.Write(b)
}

func (v *verifier) check() error {
	want := v.rec.Checksum
	got := hex.EncodeToString(v.hash.Sum(nil))
	switch {
	case want.Type != "sha256":
		return fmt.Errorf("package %s: its digest is %q; only sha256 is accepted", v.rec.Location, want.Type)
	case v.size != v.rec.Size:
		return &rpmmd.MismatchError{File: v.rec.Location, What: "size", Want: strconv.FormatInt(v.rec.Size, 10), Got: strconv.FormatInt(v.size, 10)}
	case got != want.Value:
		return &rpmmd.MismatchError{File: v.rec.Location, What: want.Type, Want: want.Value, Got: got}
	}
	return nil
}

// Local returns a folder of this host with the repository: its own when it is in a
// folder, otherwise dir, into which its metadata and the packages that are wanted
// are downloaded. Downloads are verified against the metadata.
func (r *Repository) Local(ctx context.Context, dir string, wanted func(rpmmd.Record) bool) (string, error) {
	return r.local(ctx, dir, wanted, r.download)
}

// Objects is where packages are kept that were downloaded once.
type Objects interface {
	Has(d store.Digest) bool
	PutVerified(ctx context.Context, r io.Reader, want store.Digest) (int64, error)
	Link(d store.Digest, path string) error
}

// Mirror is Local, with packages that come from objects when they are there, and are
// kept there.
func (r *Repository) Mirror(ctx context.Context, dir string, objects Objects, wanted func(rpmmd.Record) bool) (string, error) {
	return r.local(ctx, dir, wanted, func(ctx context.Context, dir string, rec rpmmd.Record) error {
		return r.keep(ctx, dir, objects, rec)
	})
}

func (r *Repository) keep(ctx context.Context, dir string, objects Objects, rec rpmmd.Record) error {
	want, err := store.ParseDigest(rec.Checksum.Type + ":" + rec.Checksum.Value)
	if err != nil {
		return fmt.Errorf("package %s: %w", rec.Location, err)
	}
	if !objects.Has(want) {
		file, err := r.source.open(ctx, rec.Location)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := objects.PutVerified(ctx, &interruptible{ctx, io.LimitReader(file, rec.Size+1)}, want); err != nil {
			return fmt.Errorf("downloading %s: %w", r.source.describe(rec.Location), err)
		}
	}
	path := filepath.Join(dir, filepath.FromSlash(rec.Location))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return objects.Link(want, path)
}

func (r *Repository) local(ctx context.Context, dir string, wanted func(rpmmd.Record) bool, download func(context.Context, string, rpmmd.Record) error) (string, error) {
	if f, ok := r.source.(folder); ok {
		return string(f), nil
	}
	if err := r.localMetadata(ctx, dir); err != nil {
		return "", err
	}
	records, err := r.Records(ctx)
	if err != nil {
		return "", err
	}
	var total int64
	for _, rec := range records {
		if !wanted(rec) {
			continue
		}
		if total += rec.Size; total > maxMirror {
			return "", fmt.Errorf("downloading %s: its packages have more than %d GiB", r, int64(maxMirror>>30))
		}
		if err := download(ctx, dir, rec); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (r *Repository) localMetadata(ctx context.Context, dir string) error {
	if err := create(dir, rpmmd.RepomdFile, bytes.NewReader(r.repomd)); err != nil {
		return err
	}
	// Neither has to be there.
	for _, suffix := range []string{".asc", ".key"} {
		file, err := r.source.open(ctx, rpmmd.RepomdFile+suffix)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return err
		}
		err = create(dir, rpmmd.RepomdFile+suffix, io.LimitReader(file, maxSmall))
		file.Close()
		if err != nil {
			return err
		}
	}
	// A client may want any of them: zypper refuses a repository without its groups.
	var total int64
	for _, d := range r.md.Data {
		if total += d.Size; d.Size < 0 || total > maxMetadata {
			return fmt.Errorf("downloading %s: its metadata have more than %d GiB", r, int64(maxMetadata>>30))
		}
		// What is downloaded is verified when it is read, here or by the client.
		file, err := r.source.open(ctx, d.Location)
		if err != nil {
			return err
		}
		err = create(dir, d.Location, &interruptible{ctx, io.LimitReader(file, d.Size+1)})
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) download(ctx context.Context, dir string, rec rpmmd.Record) error {
	file, err := r.source.open(ctx, rec.Location)
	if err != nil {
		return err
	}
	defer file.Close()
	v := &verifier{rec: rec, hash: sha256.New()}
	if err := create(dir, rec.Location, io.TeeReader(&interruptible{ctx, io.LimitReader(file, rec.Size+1)}, v)); err != nil {
		return fmt.Errorf("downloading %s: %w", r.source.describe(rec.Location), err)
	}
	if err := v.check(); err != nil {
		return fmt.Errorf("downloading %s: %w", r.source.describe(rec.Location), err)
	}
	return nil
}

// create writes a new file below a folder.
func create(dir, name string, content io.Reader) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
