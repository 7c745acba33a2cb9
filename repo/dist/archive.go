package dist

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Archive says what to carry along.
type Archive struct {
	Snapshot string // folder; whoever makes the archive has verified it
	Release  string
	Target   string
	Arch     string
	Sources  bool // the source packages too
	Signer   rpmmd.Signer
}

// Name is the archive's file name.
func (a Archive) Name() string { return a.folder() + ".tar" }

// folder is what everything in the archive lies in.
func (a Archive) folder() string {
	return fmt.Sprintf("%s-%s.%s.%s", layout.Product, a.Release, a.Target, a.Arch)
}

// The architectures of packages that every machine can use, and of those that
// none installs.
const (
	noarch = "noarch"
	source = "src"
)

// scriptName is how those who have used OpenHPC's own archives know it.
const scriptName = "make_repo.sh"

// setup makes the unpacked folder known to the package manager.
//
//go:embed make_repo.sh
var setup []byte

// Summary is what an archive holds.
type Summary struct {
	Packages int
	Bytes    int64     // of all files in it
	Time     time.Time // of the snapshot
}

// Write writes the archive. The same snapshot gives the same bytes.
func (a Archive) Write(ctx context.Context, w io.Writer) (Summary, error) {
	s, err := a.write(ctx, w)
	if err != nil {
		return Summary{}, fmt.Errorf("making %s: %w", a.Name(), err)
	}
	return s, nil
}

func (a Archive) write(ctx context.Context, w io.Writer) (Summary, error) {
	if err := a.check(); err != nil {
		return Summary{}, err
	}
	root, err := os.OpenRoot(a.Snapshot)
	if err != nil {
		return Summary{}, err
	}
	defer root.Close()
	packages, at, err := a.choose()
	if err != nil {
		return Summary{}, err
	}
	scratch, err := os.MkdirTemp("", "ohpc-build-dist-")
	if err != nil {
		return Summary{}, err
	}
	defer os.RemoveAll(scratch)
	if err := a.metadata(ctx, root, scratch, packages, at); err != nil {
		return Summary{}, err
	}
	out := &writer{ctx: ctx, tar: tar.NewWriter(w), top: a.folder(), at: at, folders: map[string]bool{}}
	if err := out.bytes(scriptName, 0o755, setup); err != nil {
		return Summary{}, err
	}
	if err := out.bytes(layout.KeyFile(a.Release), 0o644, a.Signer.PublicKey()); err != nil {
		return Summary{}, err
	}
	definition, err := a.definition()
	if err != nil {
		return Summary{}, err
	}
	if err := out.bytes(layout.Product+".local.repo", 0o644, definition); err != nil {
		return Summary{}, err
	}
	if err := out.tree(scratch, rpmmd.Dir); err != nil {
		return Summary{}, err
	}
	for _, p := range packages {
		if err := out.pack(root, p); err != nil {
			return Summary{}, err
		}
	}
	return Summary{Packages: len(packages), Bytes: out.written, Time: at}, out.tar.Close()
}

func (a Archive) check() error {
	for what, word := range map[string]string{"release": a.Release, "target": a.Target, "architecture": a.Arch} {
		if !layout.IsWord(word) {
			return fmt.Errorf("%q cannot be the name of a %s", word, what)
		}
	}
	return nil
}

// definition is the .repo file, which the script completes: where the archive
// will be unpacked is not known yet.
func (a Archive) definition() ([]byte, error) {
	return layout.RepoFile(layout.Repo{
		ID:      layout.Product + "-local",
		Name:    layout.Product + " " + a.Release + " - " + a.Target + " - " + a.Arch,
		BaseURL: "file://" + placeholder, GPGKey: "file://" + placeholder + "/" + layout.KeyFile(a.Release),
	})
}

// placeholder stands for the folder in the .repo file.
const placeholder = "@DIRECTORY@"

// choose reads which packages of the snapshot belong in the archive, in order of
// their places, and the time that all files in it are given.
func (a Archive) choose() ([]rpmmd.Record, time.Time, error) {
	md, err := rpmmd.ReadRepomd(a.Snapshot)
	if err != nil {
		return nil, time.Time{}, err
	}
	primary, ok := md.Find("primary")
	if !ok {
		return nil, time.Time{}, fmt.Errorf("%s: its metadata have no primary", a.Snapshot)
	}
	r, err := rpmmd.OpenData(a.Snapshot, primary)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer r.Close()
	var chosen []rpmmd.Record
	there := map[string]bool{}
	_, err = rpmmd.ReadPrimary(r, func(p rpmmd.Record) error {
		there[p.Arch] = true
		if p.Arch != a.Arch && p.Arch != noarch && (p.Arch != source || !a.Sources) {
			return nil
		}
		if p.Base != "" || !fs.ValidPath(p.Location) {
			return fmt.Errorf("package %s lies outside of the snapshot, at %q", p.Name, p.Base+p.Location)
		}
		if p.Checksum.Type != "sha256" {
			return fmt.Errorf("package %s: its digest is %s, not sha256", p.Name, p.Checksum.Type)
		}
		chosen = append(chosen, p)
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	// Where all of an architecture's packages are noarch they are what it has.
	if !there[a.Arch] && !there[noarch] {
		delete(there, source)
		others := "it has none at all"
		if archs := slices.Sorted(maps.Keys(there)); len(archs) > 0 {
			others = "it has some for " + strings.Join(archs, ", ")
		}
		return nil, time.Time{}, fmt.Errorf("the snapshot has no packages for %s; %s", a.Arch, others)
	}
	slices.SortFunc(chosen, func(x, y rpmmd.Record) int { return cmp.Compare(x.Location, y.Location) })
	return chosen, time.Unix(primary.Timestamp, 0).UTC(), nil
}

// metadata writes signed metadata of these packages, and no others, in dir.
func (a Archive) metadata(ctx context.Context, root *os.Root, dir string, packages []rpmmd.Record, at time.Time) error {
	documents, err := a.documents(packages)
	if err != nil {
		return err
	}
	// Gzip, because nobody knows what will read it.
	w, err := rpmmd.NewWriter(dir, len(packages), rpmmd.Options{Time: at, Documents: documents})
	if err != nil {
		return err
	}
	defer w.Discard()
	for _, p := range packages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := add(w, root, p); err != nil {
			return fmt.Errorf("package %s: %w", p.Location, err)
		}
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	if err != nil {
		return err
	}
	signed, err := rpmmd.Sign(repomd, a.Signer, at)
	if err != nil {
		return err
	}
	for name, b := range signed {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, rpmmd.Dir, name), b, 0o644))
	}
	return err
}

func add(w *rpmmd.Writer, root *os.Root, p rpmmd.Record) error {
	f, err := root.Open(p.Location)
	if err != nil {
		return err
	}
	defer f.Close()
	header, err := rpm.Read(f, p.Size)
	if err != nil {
		return err
	}
	return w.Add(rpmmd.Entry{Package: header, Location: p.Location, SHA256: p.Checksum.Value})
}

// writer lays files in the archive.
type writer struct {
	ctx     context.Context //nolint:containedctx // lives as long as one call
	tar     *tar.Writer
	top     string
	at      time.Time
	folders map[string]bool
	written int64
}

func (w *writer) header(name string, mode, size int64) error {
	name = path.Join(w.top, name)
	for i, c := range name {
		if dir := name[:i+1]; c == '/' && !w.folders[dir] {
			w.folders[dir] = true
			if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: w.at}); err != nil {
				return err
			}
		}
	}
	w.written += size
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size, ModTime: w.at})
}

func (w *writer) bytes(name string, mode int64, b []byte) error {
	if err := w.header(name, mode, int64(len(b))); err != nil {
		return err
	}
	_, err := w.tar.Write(b)
	return err
}

// tree lays the files of a folder that we have made ourselves in the archive.
func (w *writer) tree(dir, name string) error {
	entries, err := os.ReadDir(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, name, e.Name()))
		if err != nil {
			return err
		}
		if err := w.bytes(path.Join(name, e.Name()), 0o644, b); err != nil {
			return err
		}
	}
	return nil
}

// pack lays a package in the archive, if it is the one that the metadata tell of.
func (w *writer) pack(root *os.Root, p rpmmd.Record) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	f, err := root.Open(p.Location)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := w.header(p.Location, 0o644, p.Size); err != nil {
		return err
	}
	h := sha256.New()
	if n, err := io.Copy(io.MultiWriter(w.tar, h), io.LimitReader(f, p.Size)); err != nil {
		return fmt.Errorf("package %s: %w", p.Location, err)
	} else if n != p.Size {
		return fmt.Errorf("package %s: %w", p.Location, &rpmmd.MismatchError{File: p.Location, What: "size", Want: fmt.Sprint(p.Size), Got: fmt.Sprint(n)})
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != p.Checksum.Value {
		return &rpmmd.MismatchError{File: p.Location, What: "digest", Want: p.Checksum.Value, Got: got}
	}
	return nil
}
