package repodata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Repository is one published repository. It is a closure.Repository.
type Repository struct {
	name   string // as its user wrote it, without a password
	source source
	md     *rpmmd.Repomd
	repomd []byte // repomd.xml as it was read
}

// source opens the files of a repository.
type source interface {
	// open opens the file at a slash-separated path that is known to be
	// local. The error names the file.
	open(ctx context.Context, path string) (io.ReadCloser, error)
	// describe names the file for people.
	describe(path string) string
}

// LocationError says that a text names no place where a repository can be.
type LocationError struct{ Location, Reason string }

func (e *LocationError) Error() string {
	return fmt.Sprintf("%q is no repository: %s", e.Location, e.Reason)
}

// Open reads the repomd.xml of the repository at location: a folder, or a
// file:, http: or https: URL, of what holds repodata.
func Open(ctx context.Context, location string) (*Repository, error) {
	r := &Repository{name: location}
	switch scheme, _, isURL := strings.Cut(location, ":"); {
	case isURL && (scheme == "http" || scheme == "https"):
		base, err := url.Parse(location)
		if err != nil {
			return nil, &LocationError{location, "the URL cannot be read"}
		}
		if base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
			return nil, &LocationError{base.Redacted(), "a URL has a host and a path, and nothing after it"}
		}
		r.name, r.source = base.Redacted(), newWeb(base)
	case isURL && scheme == "file":
		u, err := url.Parse(location)
		if err != nil || u.Opaque != "" || u.Path == "" || u.Host != "" && u.Host != "localhost" {
			return nil, &LocationError{location, "a file: URL is file:///, then a path"}
		}
		if r.source, err = newFolder(u.Path); err != nil {
			return nil, err
		}
	case isURL && strings.HasPrefix(location, scheme+"://"):
		return nil, &LocationError{location, "it can be a folder, or a file:, http: or https: URL"}
	default:
		var err error
		if r.source, err = newFolder(location); err != nil {
			return nil, err
		}
	}
	file, err := r.source.open(ctx, rpmmd.RepomdFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var raw bytes.Buffer
	r.md, err = rpmmd.ParseRepomd(io.TeeReader(file, &raw))
	r.repomd = raw.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.source.describe(rpmmd.RepomdFile), err)
	}
	return r, nil
}

// String is the location that was opened.
func (r *Repository) String() string { return r.name }

// Packages calls fn for each package of primary.
func (r *Repository) Packages(ctx context.Context, fn func(closure.Package) error) error {
	return r.read(ctx, "primary", func(data io.Reader) error {
		return rpmmd.ReadRelations(data, func(p rpmmd.Relations) error {
			return fn(closure.Package{
				ID: p.ID, Name: p.Name, EVR: p.EVR, Arch: p.Arch, Provides: p.Provides, Requires: p.Requires, Files: p.Files,
			})
		})
	})
}

// Files calls fn for the wanted files of filelists. A repository without
// filelists has told all its files.
func (r *Repository) Files(ctx context.Context, wanted func(path string) bool, fn func(id, path string) error) error {
	if _, ok := r.md.Find("filelists"); !ok {
		return nil
	}
	return r.read(ctx, "filelists", func(data io.Reader) error {
		return rpmmd.ReadFiles(data, func(id, path string) error {
			if !wanted(path) {
				return nil
			}
			return fn(id, path)
		})
	})
}

// read opens, verifies and reads a data file.
func (r *Repository) read(ctx context.Context, kind string, fn func(io.Reader) error) error {
	d, ok := r.md.Find(kind)
	if !ok {
		return fmt.Errorf("%s names no %s data", r.source.describe(rpmmd.RepomdFile), kind)
	}
	file, err := r.source.open(ctx, d.Location)
	if err != nil {
		return err
	}
	name := r.source.describe(d.Location)
	data, err := rpmmd.NewDataReader(file, name, d)
	if err != nil {
		return err
	}
	defer data.Close()
	if err := fn(&interruptible{ctx, data}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// interruptible ends reading with the context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(b []byte) (int, error) {
	if err := context.Cause(i.ctx); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}

// folder is a repository in the file system.
type folder string

// newFolder follows the link that a published repository's name is, so that all
// is read from one snapshot.
func newFolder(dir string) (folder, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil { // containers, into which it is mounted, have another current folder
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", fmt.Errorf("opening the repository: %w", err)
	}
	return folder(real), nil
}

func (f folder) open(_ context.Context, path string) (io.ReadCloser, error) {
	name := f.describe(path)
	fi, err := os.Stat(name)
	switch {
	case path == rpmmd.RepomdFile && errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("opening the repository: %w; name the folder that holds %s", err, rpmmd.Dir)
	case err != nil:
		return nil, fmt.Errorf("opening the repository: %w", err)
	case !fi.Mode().IsRegular(): // opening a pipe would wait for its writer
		return nil, fmt.Errorf("opening the repository: %s is no file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the repository: %w", err)
	}
	return file, nil
}

func (f folder) describe(path string) string {
	return filepath.Join(string(f), filepath.FromSlash(path))
}
