package store

import (
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
	"strings"

	"golang.org/x/sys/unix"
)

// Digest names an object: "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

const (
	digestPrefix = "sha256:"
	digestLength = len(digestPrefix) + 2*sha256.Size
)

// ErrNotFound says that the store holds no such object or record.
var ErrNotFound = errors.New("not in the store")

// CorruptError says that an entry's bytes are not what its name promises.
// The entry is of no use; whoever asked for it makes it anew.
type CorruptError struct {
	Path      string // the file that is wrong
	Want, Got Digest
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is corrupt: expected %s, its bytes are %s", e.Path, e.Want, e.Got)
}

// MismatchError says that bytes which should enter the store under a known
// digest have another one.
type MismatchError struct {
	Want, Got Digest
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("digest mismatch: expected %s, got %s", e.Want, e.Got)
}

// ParseDigest accepts "sha256:<hex>" and a bare 64-digit hex string.
func ParseDigest(s string) (Digest, error) {
	if !strings.Contains(s, ":") {
		s = digestPrefix + s
	}
	d := Digest(s)
	if len(s) != digestLength || !strings.HasPrefix(s, digestPrefix) || strings.ToLower(s) != s {
		return "", fmt.Errorf("%q is not a SHA-256 digest (sha256: and 64 lower-case hexadecimal digits)", s)
	}
	if _, err := hex.DecodeString(d.Hex()); err != nil {
		return "", fmt.Errorf("%q is not a SHA-256 digest: %w", s, err)
	}
	return d, nil
}

// Hex is the digest without its algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short is the first twelve digits, for people.
func (d Digest) Short() string {
	if h := d.Hex(); len(h) > 12 {
		return h[:12]
	}
	return d.Hex()
}

func digestOf(h hash.Hash) Digest { return Digest(digestPrefix + hex.EncodeToString(h.Sum(nil))) }

// Of is the digest of b.
func Of(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// Store is a folder of objects and records. It is safe for concurrent use.
type Store struct {
	dir      string
	session  *session
	verified verified
}

// Open makes the folder where it is missing, and removes the temporary files of
// processes that have died.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, err)
	}
	for _, sub := range []string{"objects/sha256", "records", "sessions", "tmp"} {
		if err := os.MkdirAll(filepath.Join(abs, sub), 0o755); err != nil {
			return nil, fmt.Errorf("opening the store %s: %w", dir, err)
		}
	}
	session, err := newSession(abs)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", dir, err)
	}
	return &Store{dir: abs, session: session}, nil
}

// Dir is the store's folder, absolute.
func (s *Store) Dir() string { return s.dir }

// Temp makes an empty folder on the store's own file system, where finished
// files can be linked from. The caller removes it; what a killed process leaves
// goes when the store is opened next.
func (s *Store) Temp(pattern string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), s.session.pattern(pattern))
	if err != nil {
		return "", fmt.Errorf("making a working folder in the store: %w", err)
	}
	return dir, nil
}

func (s *Store) objectPath(d Digest) string {
	h := d.Hex()
	if len(h) < 2 {
		h = "00" + h // never matches a file: no object has such a name
	}
	return filepath.Join(s.dir, "objects", "sha256", h[:2], h)
}

// Has says whether an object of that name is there. It does not read it.
func (s *Store) Has(d Digest) bool {
	path := s.objectPath(d)
	fi, err := os.Lstat(path)
	return err == nil && fi.Mode().IsRegular() && s.use(path) == nil
}

// Put reads r to its end and keeps the bytes. It returns their digest and
// their number.
func (s *Store) Put(ctx context.Context, r io.Reader) (Digest, int64, error) {
	return s.put(ctx, r, "")
}

// PutBytes keeps b. Nothing is written when the store has it already, intact.
func (s *Store) PutBytes(ctx context.Context, b []byte) (Digest, error) {
	if d := Of(b); s.Has(d) {
		if _, err := s.Path(d); err == nil {
			return d, nil
		}
	}
	d, _, err := s.put(ctx, strings.NewReader(string(b)), "")
	return d, err
}

// PutFile keeps a copy of the file at path.
func (s *Store) PutFile(ctx context.Context, path string) (Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("reading %s into the store: %w", path, err)
	}
	defer f.Close()
	return s.put(ctx, f, "")
}

// PutVerified keeps r's bytes only when they have the digest want; otherwise
// nothing is kept and the error is a *MismatchError.
func (s *Store) PutVerified(ctx context.Context, r io.Reader, want Digest) (int64, error) {
	_, n, err := s.put(ctx, r, want)
	return n, err
}

func (s *Store) put(ctx context.Context, r io.Reader, want Digest) (Digest, int64, error) {
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), s.session.pattern("object-"))
	if err != nil {
		return "", 0, fmt.Errorf("writing to the store: %w", err)
	}
	defer func() {
		tmp.Close()
		os.Remove(tmp.Name()) // after a successful rename there is nothing to remove
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, h), contextReader{ctx, r})
	if err != nil {
		return "", n, fmt.Errorf("writing to the store: %w", err)
	}
	d := digestOf(h)
	if want != "" && d != want {
		return "", n, &MismatchError{Want: want, Got: d}
	}
	path := s.objectPath(d)
	if err := s.commit(tmp, path); err != nil {
		return "", n, err
	}
	return d, n, nil
}

// commit makes tmp durable and gives it its final name. An entry that is
// already there is replaced: the new bytes are known to be right, the old
// ones may have rotted.
func (s *Store) commit(tmp *os.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing to the store: %w", err)
	}
	if err := tmp.Chmod(0o444); err != nil {
		return fmt.Errorf("writing to the store: %w", err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("writing to the store: %w", err)
	}
	unlock, err := s.lockEntries(unix.LOCK_SH)
	if err != nil {
		return fmt.Errorf("writing to the store: %w", err)
	}
	defer unlock()
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("writing to the store: %w", err)
	}
	return nil
}

// Open returns a reader that checks while it reads: its last Read returns a
// *CorruptError instead of io.EOF when the bytes do not have the digest d.
// Whoever stops before the end has verified nothing.
func (s *Store) Open(d Digest) (io.ReadCloser, error) {
	f, err := s.open(d)
	if err != nil {
		return nil, err
	}
	return &verifyingReader{f: f, hash: sha256.New(), want: d}, nil
}

func (s *Store) open(d Digest) (*os.File, error) {
	path := s.objectPath(d)
	err := s.use(path)
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("object %s: %w", d, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading from the store: %w", err)
	}
	return f, nil
}

// ReadAll returns an object's bytes, verified, and refuses one larger than limit.
func (s *Store) ReadAll(d Digest, limit int64) ([]byte, error) {
	r, err := s.Open(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("object %s is larger than %d bytes", d, limit)
	}
	return b, nil
}

// Path verifies an object and returns the path of its file, for programs that
// need one. The file must only be read. What was verified once is not hashed again by
// this store as long as it is the same file of the same size that nobody has written to
// since.
func (s *Store) Path(d Digest) (string, error) {
	path := s.objectPath(d)
	if before, ok := s.verified.find(d); ok {
		if fi, err := s.used(path); err == nil && before == identify(fi) {
			return path, nil
		}
	}
	f, err := s.open(d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("reading from the store: %w", err)
	}
	if _, err := io.Copy(io.Discard, &verifyingReader{f: f, hash: sha256.New(), want: d}); err != nil {
		return "", err
	}
	s.verified.add(d, identify(fi))
	return path, nil
}

// Link verifies an object and makes it appear at dst: as a hard link where the
// file system allows, as a copy otherwise.
func (s *Store) Link(d Digest, dst string) error {
	_, err := s.LinkOrCopy(d, dst)
	return err
}

// LinkOrCopy is Link, and says whether it is a link: what that leads to is durable, a
// copy is not.
func (s *Store) LinkOrCopy(d Digest, dst string) (linked bool, err error) {
	src, err := s.Path(d)
	if err != nil {
		return false, err
	}
	if err := os.Link(src, dst); err == nil {
		return true, nil
	} else if errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("linking an object out of the store: %w", err)
	}
	return false, s.CopyTo(d, dst)
}

// CopyTo writes a verified copy of an object to dst, which must not exist.
func (s *Store) CopyTo(d Digest, dst string) (err error) {
	r, err := s.Open(d)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("copying an object out of the store: %w", err)
	}
	defer func() {
		if cerr := w.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("copying an object out of the store: %w", cerr)
		}
		if err != nil {
			os.Remove(dst)
		}
	}()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("copying an object out of the store to %s: %w", dst, err)
	}
	return nil
}

type verifyingReader struct {
	f    *os.File
	hash hash.Hash
	want Digest
}

func (v *verifyingReader) Read(p []byte) (int, error) {
	n, err := v.f.Read(p)
	v.hash.Write(p[:n])
	if err == io.EOF {
		if got := digestOf(v.hash); got != v.want {
			return n, &CorruptError{Path: v.f.Name(), Want: v.want, Got: got}
		}
	}
	return n, err
}

func (v *verifyingReader) Close() error { return v.f.Close() }

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
