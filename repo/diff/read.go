package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Read returns what a repository offers: a folder's, or one at an http:, https: or
// file: URL. The metadata's digests are verified, its signature is not: nothing is
// installed from here.
func Read(ctx context.Context, where string) ([]Package, error) {
	packages, err := read(ctx, where)
	if err != nil {
		return nil, fmt.Errorf("reading the repository %s: %w", where, err)
	}
	return packages, nil
}

func read(ctx context.Context, where string) ([]Package, error) {
	if dir, ok := strings.CutPrefix(where, "file://"); ok {
		where = dir
	}
	if !IsURL(where) {
		return collect(ctx, folder(where))
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	return collect(ctx, &remote{ctx: ctx, base: u, client: &http.Client{Timeout: timeLimit}})
}

// IsURL tells addresses from folders.
func IsURL(where string) bool {
	return strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://")
}

const (
	timeLimit   = 10 * time.Minute // for one file
	repomdLimit = 4 << 20
	maxPackages = 2_000_000
)

// place is where a repository lies.
type place interface {
	open(name string) (io.ReadCloser, error)
	path(location string) string // of a package's file; empty when it is not at hand
}

type folder string

func (f folder) open(name string) (io.ReadCloser, error) {
	// A pipe in its place is not waited for.
	file, err := os.OpenFile(f.path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fi, err := file.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", file.Name())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (f folder) path(location string) string {
	return filepath.Join(string(f), filepath.FromSlash(location))
}

type remote struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call
	base   *url.URL
	client *http.Client
}

func (r *remote) open(name string) (io.ReadCloser, error) {
	address := r.base.JoinPath(name).String()
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	// Otherwise a server might send what is compressed already as a content encoding.
	req.Header.Set("Accept-Encoding", "identity")
	answer, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: %s", address, answer.Status), answer.Body.Close())
	}
	return answer.Body, nil
}

func (r *remote) path(string) string { return "" }

func collect(ctx context.Context, p place) ([]Package, error) {
	f, err := p.open(rpmmd.RepomdFile)
	if err != nil {
		return nil, err
	}
	doc, err := io.ReadAll(io.LimitReader(f, repomdLimit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(doc) > repomdLimit {
		return nil, fmt.Errorf("%s has more than %d bytes", rpmmd.RepomdFile, repomdLimit)
	}
	md, err := rpmmd.ParseRepomd(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	d, ok := md.Find("primary")
	if !ok {
		return nil, errors.New("repomd.xml names no primary")
	}
	if !filepath.IsLocal(d.Location) || path.Clean(d.Location) != d.Location {
		return nil, fmt.Errorf("primary lies outside of the repository, at %q", d.Location)
	}
	file, err := p.open(d.Location)
	if err != nil {
		return nil, err
	}
	r, err := rpmmd.NewDataReader(file, d.Location, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var packages []Package
	_, err = rpmmd.ReadPrimary(r, func(rec rpmmd.Record) error {
		if len(packages) == maxPackages {
			return fmt.Errorf("it has more than %d packages", maxPackages)
		}
		found := Package{Name: rec.Name, Arch: rec.Arch, EVR: rec.EVR, Digest: rec.Checksum.Type + ":" + rec.Checksum.Value}
		if rec.Base == "" && filepath.IsLocal(rec.Location) {
			found.path = p.path(rec.Location)
		}
		packages = append(packages, found)
		return ctx.Err()
	})
	return packages, err
}

// Snapshots compares two snapshots.
func Snapshots(ctx context.Context, old, new snapshot.Snapshot) (*Result, error) {
	before, err := Read(ctx, old.Dir)
	if err != nil {
		return nil, err
	}
	after, err := Read(ctx, new.Dir)
	if err != nil {
		return nil, err
	}
	return Compare(ctx, before, after)
}
