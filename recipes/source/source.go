package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source/debian"
	"github.com/ohpc-build/ohpc-build/recipes/source/tarball"
)

// Fetcher brings sources into a store. It is safe for concurrent use.
type Fetcher struct {
	store   *store.Store
	client  *http.Client
	options options
	debian  *debian.Archives
}

// New returns a fetcher. Close it after use.
func New(st *store.Store, opts ...Option) *Fetcher {
	o := defaults()
	for _, opt := range opts {
		opt(&o)
	}
	return &Fetcher{store: st, client: newClient(o), options: o, debian: debian.New(o.mirror, st.Temp)}
}

// Close removes what the fetcher kept beside the store.
func (f *Fetcher) Close() error { return f.debian.Close() }

// Generated holds the bytes of generated sources by their names.
type Generated map[string][]byte

// Fetch returns the digest of a source that is in the store afterwards, verified.
// The error is a *[FetchError] when no place has the source as it should be, and
// the context's when that ended.
func (f *Fetcher) Fetch(ctx context.Context, s recipes.Source, given Generated) (store.Digest, error) {
	var want store.Digest
	if s.SHA256 != "" {
		var err error
		if want, err = store.ParseDigest(s.SHA256); err != nil {
			return "", fmt.Errorf("source %s: %w", s.File, err)
		}
		// A damaged copy is as good as none.
		if _, err := f.store.Path(want); err == nil {
			return want, nil
		}
	}
	switch {
	case s.Debian != nil:
		return f.fetchDebian(ctx, s, want)
	case s.URL != "":
		return f.fetchURL(ctx, s, want)
	case s.Git != nil:
		return f.once(s, want, s.Git.URL, func() (store.Digest, error) {
			return f.make(ctx, s, want, s.Git.URL, compressed(s.File, func(w io.Writer) error { return f.archiveCommit(ctx, *s.Git, w) }))
		})
	case s.Commit != nil:
		return f.once(s, want, s.Commit.URL, func() (store.Digest, error) {
			return f.make(ctx, s, want, s.Commit.URL, func(w io.Writer) error { return f.writePatch(ctx, *s.Commit, w) })
		})
	case s.Folder != nil:
		return f.make(ctx, s, want, s.Folder.Path, compressed(s.File, func(w io.Writer) error { return f.archiveFolder(ctx, *s.Folder, w) }))
	case s.Generated != "":
		data, ok := given[s.Generated]
		if !ok {
			return "", fmt.Errorf("source %s: nothing was generated under the name %q", s.File, s.Generated)
		}
		return f.store.PutBytes(ctx, data)
	default:
		return "", fmt.Errorf("source %s: the recipe does not say where it comes from", s.File)
	}
}

// FetchError says that a source could not be had.
type FetchError struct {
	Source string // the file's name
	Tries  []Try
}

// Try is a place where a source was looked for, and why it was not had there.
type Try struct {
	Place string
	Err   error
}

func (e *FetchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "source %s cannot be fetched", e.Source)
	for _, t := range e.Tries {
		fmt.Fprintf(&b, "\n  %s: %v", t.Place, t.Err)
	}
	return b.String()
}

// Passing says whether asking again may have another end: at one place a server or
// the network was in trouble.
func (e *FetchError) Passing() bool {
	return slices.ContainsFunc(e.Tries, func(t Try) bool { return passing(t.Err) && !errors.Is(t.Err, fs.ErrNotExist) })
}

// Unwrap returns the reason of each place.
func (e *FetchError) Unwrap() []error {
	errs := make([]error, len(e.Tries))
	for i, t := range e.Tries {
		errs[i] = t.Err
	}
	return errs
}

// DigestError says that a place has something else under the source's name.
type DigestError struct {
	Source    string
	Place     string
	Want, Got store.Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("its SHA-256 is %s, the recipe says %s; either the file was replaced or the recipe is wrong: compare with what its authors publish before changing sha256",
		e.Got.Hex(), e.Want.Hex())
}

// keep puts what r gives into the store. When want is not empty, only bytes of
// that digest are kept.
func (f *Fetcher) keep(ctx context.Context, s recipes.Source, place string, want store.Digest, r io.Reader) (store.Digest, error) {
	r = &limited{r: r, left: f.options.maxSize, limit: f.options.maxSize}
	if want == "" {
		d, _, err := f.store.Put(ctx, r)
		return d, err
	}
	_, err := f.store.PutVerified(ctx, r, want)
	var mismatch *store.MismatchError
	if errors.As(err, &mismatch) {
		return "", &DigestError{Source: s.File, Place: place, Want: want, Got: mismatch.Got}
	}
	return want, err
}

// madeKind holds, by source, the digest of what was made of a commit. Its name
// changes with the way that archives and patches are written.
const madeKind = "source-made-1"

// once makes what a commit of a remote repository stands for the first time, and
// afterwards knows it: a commit never changes. A local repository is at hand, and
// may be out of bounds the next time.
func (f *Fetcher) once(s recipes.Source, want store.Digest, address string, anew func() (store.Digest, error)) (store.Digest, error) {
	if remote, err := recipes.IsRemote(address); err != nil || !remote || want != "" {
		return anew()
	}
	key, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("source %s: %w", s.File, err)
	}
	var known store.Digest
	if f.store.Record(madeKind, string(key), &known) == nil {
		if _, err := f.store.Path(known); err == nil {
			return known, nil
		}
	}
	d, err := anew()
	if err != nil {
		return "", err
	}
	return d, f.store.PutRecord(madeKind, string(key), d)
}

// make keeps what write writes.
func (f *Fetcher) make(ctx context.Context, s recipes.Source, want store.Digest, place string, write func(io.Writer) error) (store.Digest, error) {
	failed := func(err error) (store.Digest, error) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", &FetchError{Source: s.File, Tries: []Try{{place, err}}}
	}
	tmp, err := f.store.Temp("source-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	file, err := os.CreateTemp(tmp, "made-")
	if err != nil {
		return "", fmt.Errorf("source %s: %w", s.File, err)
	}
	defer file.Close()
	if err := write(file); err != nil {
		return failed(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("source %s: %w", s.File, err)
	}
	d, err := f.keep(ctx, s, place, want, file)
	if err != nil {
		return failed(err)
	}
	return d, nil
}

// compressed compresses what write writes as a source's name asks.
func compressed(name string, write func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		c, err := tarball.Compress(name, w)
		if err != nil {
			return err
		}
		if err := write(c); err != nil {
			return err
		}
		return c.Close()
	}
}

// limited fails when there is more to read than was agreed on.
type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, &SizeError{Limit: l.limit}
	}
	return n, err
}

// SizeError says that a source is larger than is allowed.
type SizeError = tarball.SizeError

// options are what a Fetcher can be told.
type options struct {
	maxSize int64
	retries int
	wait    time.Duration
	stall   time.Duration
	mirror  string
	local   string
}

func defaults() options {
	return options{maxSize: 8 << 30, retries: 3, wait: time.Second, stall: time.Minute}
}

// Option changes how a Fetcher works.
type Option func(*options)

// WithMaxSize bounds each source in bytes; 8 GiB by default.
func WithMaxSize(bytes int64) Option { return func(o *options) { o.maxSize = bytes } }

// WithRetries sets how often a place is asked, three times by default, when its
// answer may be another one next time, and how long to wait before the second
// time; each further wait is twice as long.
func WithRetries(times int, wait time.Duration) Option {
	return func(o *options) { o.retries, o.wait = times, wait }
}

// WithStall sets how long a server may be silent; one minute by default.
func WithStall(d time.Duration) Option { return func(o *options) { o.stall = d } }

// WithDebianMirror names the mirror that Debian's sources come from. By default
// it is the one that the host's apt is configured for.
func WithDebianMirror(uri string) Option { return func(o *options) { o.mirror = uri } }

// WithLocal allows sources from this machine, dir and git repositories that are
// paths, when they lie in the folder root. Without it there are none: a recipe
// may come from a stranger, and its packages are published.
func WithLocal(root string) Option { return func(o *options) { o.local = root } }
