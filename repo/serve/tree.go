package serve

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Tree is the http.Handler of a published tree.
type Tree struct {
	root *os.Root // nothing outside of it is read, whatever links say
	url  string   // under which clients find it; empty: as they asked
	log  *slog.Logger
}

// Option changes what New makes.
type Option func(*Tree)

// WithURL sets the address that .repo files and mirrorlists are told to clients
// with. It is for servers behind a proxy; by default it is the one they asked.
func WithURL(address string) Option {
	return func(t *Tree) { t.url = strings.TrimSuffix(address, "/") }
}

// WithLog logs each request.
func WithLog(log *slog.Logger) Option { return func(t *Tree) { t.log = log } }

// Open opens the tree in a folder.
func Open(dir string, options ...Option) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the tree to serve: %w", err)
	}
	t := &Tree{root: root, log: slog.New(slog.DiscardHandler)}
	for _, o := range options {
		o(t)
	}
	return t, nil
}

// Close ends the use of the folder.
func (t *Tree) Close() error { return t.root.Close() }

// ServeHTTP answers GET and HEAD.
func (t *Tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	answer := &recorder{ResponseWriter: w, status: http.StatusOK}
	t.answer(answer, r)
	t.log.Info("request", "method", r.Method, "path", r.URL.Path, "status", answer.status, "client", r.RemoteAddr,
		"seconds", time.Since(begin).Seconds())
}

func (t *Tree) answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered", http.StatusMethodNotAllowed)
		return
	}
	name, ok := clean(r.URL.Path)
	if !ok {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	f, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a fifo would wait for its writer
	if err != nil {
		t.refuse(w, name, err)
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.refuse(w, name, err)
		return
	}
	switch {
	case fi.IsDir() && !strings.HasSuffix(r.URL.Path, "/"):
		// Relative, so that it holds behind a proxy too.
		h.Set("Location", (&url.URL{Path: "./" + path.Base(name) + "/"}).String())
		w.WriteHeader(http.StatusMovedPermanently)
	case fi.IsDir():
		t.page(w, r, name, f)
	case !fi.Mode().IsRegular() || strings.HasSuffix(r.URL.Path, "/"):
		http.Error(w, "there is no such file", http.StatusNotFound)
	default:
		t.file(w, r, name, f, fi)
	}
}

// clean makes of a request's path a name in the tree. Hidden files, which are
// the publisher's own, are not shown.
func clean(requested string) (string, bool) {
	if strings.ContainsAny(requested, "\x00\\") {
		return "", false
	}
	name := strings.TrimPrefix(path.Clean("/"+requested), "/")
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return "", false
		}
	}
	if name == "" {
		name = "."
	}
	return name, true
}

// refuse tells a client no more than it needs, and the log the rest.
func (t *Tree) refuse(w http.ResponseWriter, name string, err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	t.log.Warn("cannot be served", "file", name, "error", err)
	http.Error(w, "this file cannot be served", http.StatusForbidden)
}

// file sends one file.
func (t *Tree) file(w http.ResponseWriter, r *http.Request, name string, f *os.File, fi fs.FileInfo) {
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("Cache-Control", lifetime(name))
	if told := path.Ext(name); told == ".repo" || told == ".mirrorlist" {
		t.addresses(w, r, name, f)
		return
	}
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		// A channel's name leads to another file after each publish, hence the inode.
		h.Set("ETag", fmt.Sprintf(`"%x-%x-%x"`, sys.Ino, fi.Size(), fi.ModTime().UnixNano()))
	}
	http.ServeContent(w, r, name, fi.ModTime(), f)
}

// lifetime is how long a file may be kept without asking again: what is in a
// snapshot never changes.
func lifetime(name string) string {
	if strings.HasPrefix(name, layout.Snapshots+"/") && path.Ext(name) != ".repo" {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

var contentTypes = map[string]string{
	".rpm": "application/x-rpm", ".xml": "text/xml; charset=utf-8", ".gz": "application/gzip", ".zst": "application/zstd",
	".xz": "application/x-xz", ".json": "application/json", ".html": "text/html; charset=utf-8", ".tar": "application/x-tar",
	".repo": plain, ".mirrorlist": plain, ".asc": plain, ".key": plain, ".txt": plain, ".log": plain,
}

const plain = "text/plain; charset=utf-8"

func contentType(name string) string {
	if layout.IsKeyFile(path.Base(name)) {
		return plain
	}
	if t, ok := contentTypes[path.Ext(name)]; ok {
		return t
	}
	return "application/octet-stream"
}

// published matches the addresses that a publisher writes, up to where the tree
// begins. The last such place counts, because a tree may lie in a folder of the
// same name.
var published = regexp.MustCompile(`(?:file|https?)://[^\s,]*(/(?:OpenHPC|snapshots)/)`)

// addresses sends a file that names the tree's own address, told as this server's.
func (t *Tree) addresses(w http.ResponseWriter, r *http.Request, name string, f io.Reader) {
	const limit = 1 << 20
	here, ok := t.here(r)
	if !ok {
		http.Error(w, "the Host header names no host", http.StatusBadRequest)
		return
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	if err != nil {
		t.refuse(w, name, err)
		return
	}
	text = published.ReplaceAll(text, []byte(strings.ReplaceAll(here, "$", "$$")+"$1"))
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(text)))
	w.Header().Set("Vary", "Host")
	// No time of modification: the address may be another one within it.
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
}

var host = regexp.MustCompile(`^(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$`)

// here is the address under which the client has asked.
func (t *Tree) here(r *http.Request) (string, bool) {
	if t.url != "" {
		return t.url, true
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host, host.MatchString(r.Host)
}

// names are the visible names in a folder, folders first.
func names(f *os.File) ([]fs.DirEntry, error) {
	all, err := f.ReadDir(-1)
	all = slices.DeleteFunc(all, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") })
	slices.SortFunc(all, func(a, b fs.DirEntry) int {
		if a.IsDir() != b.IsDir() {
			if a.IsDir() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name(), b.Name())
	})
	return all, err
}

// recorder keeps the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// ReadFrom lets the kernel copy files to the connection.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) { return io.Copy(r.ResponseWriter, src) }
