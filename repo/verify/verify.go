package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// maxProblems is how many findings Repository reports before it stops looking.
const maxProblems = 20

// Repository reads everything of a snapshot again: the signature of repomd.xml, the
// public keys beside it, the data files' sizes and digests, each package's
// digest, signatures and place in the metadata, and that nothing else is there.
// The error joins all that is wrong, each naming its file. The .repo file is
// verified where a manifest tells its digest.
func Repository(ctx context.Context, dir string, trusted *sign.Keyring) error {
	return repository(ctx, dir, trusted, map[fileID]string{})
}

func repository(ctx context.Context, dir string, trusted *sign.Keyring, known map[fileID]string) error {
	v := &verifier{
		ctx: ctx, dir: dir, trusted: trusted, known: known,
		expected: map[string]bool{layout.RepoFileName: true, snapshot.ManifestFile: true}, ids: map[string]bool{},
	}
	md, err := v.repomd()
	if err != nil {
		return fmt.Errorf("verifying %s: %w", dir, err) // nothing below it can be believed
	}
	v.keys()
	v.documents(md)
	if v.packages(md) {
		v.lists(md)
		v.manifest()
		v.strangers()
	}
	if err := errors.Join(v.problems...); err != nil {
		return fmt.Errorf("verifying %s: %w", dir, err)
	}
	return ctx.Err()
}

type verifier struct {
	ctx      context.Context //nolint:containedctx // lives as long as one call
	dir      string
	trusted  *sign.Keyring
	expected map[string]bool   // slash-separated paths of all files that belong there
	ids      map[string]bool   // digests of the packages in primary
	known    map[fileID]string // digests of packages that were verified in another snapshot
	contents snapshot.Contents
	problems []error
}

// fileID is a file, whatever its names: snapshots share their packages.
type fileID struct{ device, inode uint64 }

func (v *verifier) problem(name string, err error) {
	if len(v.problems) < maxProblems {
		v.problems = append(v.problems, fmt.Errorf("%s: %w", told(name), err))
	}
}

// told is a file's name for a message. Whoever made the name may have wanted it to
// look like one.
func told(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// repomd verifies repomd.xml and its signature.
func (v *verifier) repomd() (*rpmmd.Repomd, error) {
	doc, err := v.small(rpmmd.RepomdFile)
	if err != nil {
		return nil, err
	}
	signature, err := v.small(rpmmd.RepomdFile + ".asc")
	if err != nil {
		return nil, err
	}
	if err := v.trusted.VerifyDetached(bytes.NewReader(doc), bytes.NewReader(signature)); err != nil {
		return nil, fmt.Errorf("%s: %w", rpmmd.RepomdFile, err)
	}
	md, err := rpmmd.ParseRepomd(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	for _, d := range md.Data {
		v.expected[d.Location] = true
	}
	return md, nil
}

// keys verifies that the public keys which clients are offered are trusted ones.
func (v *verifier) keys() {
	offered := []string{rpmmd.RepomdFile + ".key"}
	found, err := os.ReadDir(v.dir)
	if err != nil {
		v.problem(".", err)
	}
	for _, e := range found {
		if layout.IsKeyFile(e.Name()) {
			offered = append(offered, e.Name())
		}
	}
	for _, name := range offered {
		b, err := v.small(name)
		if err != nil {
			v.problem(name, err)
			continue
		}
		keyring, err := sign.ReadKeyring(bytes.NewReader(b))
		if err != nil {
			v.problem(name, err)
			continue
		}
		for _, fingerprint := range keyring.Fingerprints() {
			if !slices.Contains(v.trusted.Fingerprints(), fingerprint) {
				v.problem(name, fmt.Errorf("it offers key %s, which is not trusted", fingerprint))
			}
		}
	}
}

// small reads a file of at most a few megabytes that belongs to the repository.
func (v *verifier) small(name string) ([]byte, error) {
	const limit = 4 << 20
	v.expected[name] = true
	f, fi, err := v.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi.Size() > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// file opens what must be a file of its own. A link is not followed, and a pipe,
// which nobody may ever write to, is not waited for.
func (v *verifier) file(name string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(filepath.Join(v.dir, filepath.FromSlash(name)), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return nil, nil, fmt.Errorf("%s: %w", told(name), errIrregular)
	}
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", told(name), errIrregular)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, fi, nil
}

var errIrregular = errors.New("it is no regular file")

// stoppable ends reading when the verification is interrupted.
type stoppable struct {
	ctx context.Context //nolint:containedctx // lives as long as one call
	r   io.Reader
}

func (s stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}

// open returns a data file's content, verified while it is read.
func (v *verifier) open(md *rpmmd.Repomd, kind string) (io.ReadCloser, error) {
	d, ok := md.Find(kind)
	if !ok {
		return nil, errors.New("repomd.xml does not name it")
	}
	return v.data(d)
}

func (v *verifier) data(d rpmmd.Data) (io.ReadCloser, error) {
	f, fi, err := v.file(d.Location)
	if err != nil {
		return nil, err
	}
	if fi.Size() != d.Size {
		f.Close()
		return nil, &rpmmd.MismatchError{File: d.Location, What: "size", Want: strconv.FormatInt(d.Size, 10), Got: strconv.FormatInt(fi.Size(), 10)}
	}
	return rpmmd.NewDataReader(f, f.Name(), d)
}

// packages verifies each package that primary names. Without primary it is not known
// what belongs to the repository, and all else would seem wrong.
func (v *verifier) packages(md *rpmmd.Repomd) bool {
	r, err := v.open(md, "primary")
	if err != nil {
		v.problem("primary", err)
		return false
	}
	defer r.Close()
	count := 0
	announced, err := rpmmd.ReadPrimary(r, func(rec rpmmd.Record) error {
		count++
		if err := v.record(rec); err != nil {
			v.problem(rec.Location, err)
		}
		if len(v.problems) >= maxProblems {
			return errors.New("too much is wrong to go on")
		}
		return v.ctx.Err()
	})
	if err == nil && announced != count {
		err = fmt.Errorf("it announces %d packages and has %d", announced, count)
	}
	if err != nil {
		v.problem("primary", err)
	}
	return err == nil
}

func (v *verifier) record(rec rpmmd.Record) error {
	if !filepath.IsLocal(rec.Location) || path.Clean(rec.Location) != rec.Location || rec.Base != "" {
		return errors.New("it lies outside of the repository")
	}
	if v.expected[rec.Location] || v.ids[rec.Checksum.Value] {
		return errors.New("the metadata name it twice")
	}
	v.expected[rec.Location] = true
	v.ids[rec.Checksum.Value] = true
	v.contents.Add(rec.Location, rec.Checksum.Value)
	f, fi, err := v.file(rec.Location)
	if errors.Is(err, errIrregular) {
		return errIrregular
	}
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := v.verified(f, fi, rec)
	if err != nil {
		return err
	}
	return describes(rec, p)
}

// verified verifies a package's digests and signatures. One that was verified in
// another snapshot is not read again: it is the same file.
func (v *verifier) verified(f *os.File, fi fs.FileInfo, rec rpmmd.Record) (*rpm.Package, error) {
	sys, hasID := fi.Sys().(*syscall.Stat_t)
	var id fileID
	if hasID {
		id = fileID{uint64(sys.Dev), sys.Ino} //nolint:unconvert // not everywhere 64 bits
		if v.known[id] == rec.Checksum.Value && rec.Checksum.Type == "sha256" && fi.Size() == rec.Size {
			return rpm.Read(f, fi.Size())
		}
	}
	if fi.Size() != rec.Size { // told before terabytes of nothing are read
		return nil, fmt.Errorf("it has %d bytes, the metadata say %d", fi.Size(), rec.Size)
	}
	h := sha256.New()
	size, err := io.Copy(h, stoppable{v.ctx, f})
	if err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(h.Sum(nil)); rec.Checksum.Type != "sha256" || got != rec.Checksum.Value || size != rec.Size {
		return nil, fmt.Errorf("its digest is sha256 %s with %d bytes, the metadata say %s %s with %d",
			got, size, rec.Checksum.Type, rec.Checksum.Value, rec.Size)
	}
	p, err := v.trusted.VerifyPackage(v.ctx, f, size)
	if err == nil && hasID {
		v.known[id] = rec.Checksum.Value
	}
	return p, err
}

// describes compares what the metadata say with the package's own header.
func describes(rec rpmmd.Record, p *rpm.Package) error {
	for _, c := range []struct{ what, metadata, header string }{
		{"name", rec.Name, p.Name},
		{"arch", rec.Arch, p.Arch},
		{"epoch", rec.EVR.Epoch, strconv.FormatUint(uint64(p.Epoch), 10)},
		{"version", rec.EVR.Version, p.Version},
		{"release", rec.EVR.Release, p.Release},
		{"place", rec.Location, p.Arch + "/" + p.FileName()},
		{"header", fmt.Sprint(rec.HeaderStart, rec.HeaderEnd), fmt.Sprint(p.HeaderStart, p.HeaderEnd)},
	} {
		if c.metadata != c.header {
			return fmt.Errorf("its %s is %q, the metadata say %q", c.what, c.header, c.metadata)
		}
	}
	return nil
}

// lists verifies that the other data files are of the same packages.
func (v *verifier) lists(md *rpmmd.Repomd) {
	for _, kind := range []string{"filelists", "other"} {
		r, err := v.open(md, kind)
		if err != nil {
			v.problem(kind, err)
			continue
		}
		seen := map[string]bool{}
		_, err = rpmmd.ReadIDs(r, kind, func(id string) error {
			if !v.ids[id] || seen[id] {
				return fmt.Errorf("primary does not have its package %s, or it has it twice", id)
			}
			seen[id] = true
			return v.ctx.Err()
		})
		if err == nil && len(seen) != len(v.ids) {
			err = fmt.Errorf("it has %d packages, primary has %d", len(seen), len(v.ids))
		}
		r.Close()
		if err != nil {
			v.problem(kind, err)
		}
	}
}

// documents verifies the digests of what else repomd.xml names.
func (v *verifier) documents(md *rpmmd.Repomd) {
	for _, d := range md.Data {
		if slices.Contains([]string{"primary", "filelists", "other"}, d.Type) {
			continue
		}
		r, err := v.data(d)
		if err == nil {
			_, err = io.Copy(io.Discard, stoppable{v.ctx, r})
			err = errors.Join(err, r.Close())
		}
		if err != nil {
			v.problem(d.Type, err)
		}
	}
}

// manifest verifies what a snapshot says of itself. A repository need not have one.
func (v *verifier) manifest() {
	_, err := v.small(snapshot.ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var (
		m  snapshot.Manifest
		id string
	)
	if err == nil {
		m, id, err = snapshot.ReadManifest(v.dir)
	}
	if err != nil {
		v.problem(snapshot.ManifestFile, err)
		return
	}
	if name := filepath.Base(v.dir); layout.IsID(name) && name != id {
		v.problem(snapshot.ManifestFile, fmt.Errorf("it is of snapshot %s", id))
	}
	if m.Packages != v.contents.Packages() || m.Contents != v.contents.Digest() {
		v.problem(snapshot.ManifestFile, errors.New("it was written for other packages"))
	}
	for name, want := range map[string]string{layout.RepoFileName: m.ClientFile, layout.KeyFile(m.Release): m.Key} {
		if b, err := v.small(name); err != nil {
			v.problem(name, err)
		} else if snapshot.Digest(b) != want {
			v.problem(name, errors.New("it is not what was published"))
		}
	}
}

// strangers finds what does not belong there.
func (v *verifier) strangers() {
	err := filepath.WalkDir(v.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(v.dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !v.expected[rel] || !d.Type().IsRegular() {
			v.problem(rel, errors.New("it does not belong to the repository"))
		}
		return v.ctx.Err()
	})
	if err != nil {
		v.problem(".", err)
	}
}
