package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// extensionPackage is the name of the package that says what was added on demand.
const extensionPackage = Package + "-on-demand"

// Deb is a package of the system's own kind, in the store.
type Deb struct {
	File   string
	Digest store.Digest
}

// unneeded are the folders that the bootstrap leaves out, and what dpkg and its
// scripts leave behind that nobody reads.
var (
	unneeded = []string{"man", "info", "locale", "lintian", "doc"}
	leavings = []string{"var/log", "var/cache", "var/lib/dpkg/status-old", "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock", "tmp", "mnt"}
)

// Extend returns the image that base becomes when the packages are installed on
// top, with no network, and a package that tells rpm of what came with them: of the
// names, those whose packages are all installed then. It is made unless images has
// it.
func (n Names) Extend(ctx context.Context, images *image.Images, st *store.Store, sb Sandbox, base *image.Image, debs []Deb, log io.Writer) (*image.Image, error) {
	debs = slices.Clone(debs)
	slices.SortFunc(debs, func(a, b Deb) int { return strings.Compare(a.File, b.File) })
	var key strings.Builder
	fmt.Fprintf(&key, "extension %s", n.Key(base))
	for _, d := range debs {
		fmt.Fprintf(&key, " %s=%s", d.File, d.Digest)
	}
	return images.Alone(ctx, key.String(), func() (*image.Image, error) {
		e := extension{names: n, images: images, store: st, sandbox: sb, base: base, debs: debs, log: log}
		img, err := e.make(ctx, key.String())
		if err != nil {
			return nil, fmt.Errorf("adding packages on demand to the image %s for %s: %w", base.Digest.Short(), base.Arch, err)
		}
		return img, nil
	})
}

// extension is what one is made of.
type extension struct {
	names   Names
	images  *image.Images
	store   *store.Store
	sandbox Sandbox
	base    *image.Image
	debs    []Deb
	log     io.Writer

	root   *image.Root
	shared string // what containers see of the host
	upper  string // what is added
}

func (e *extension) make(ctx context.Context, key string) (*image.Image, error) {
	var err error
	if e.root, err = e.images.Unpack(ctx, e.base); err != nil {
		return nil, err
	}
	tmp, err := e.images.Temp("extension-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	e.shared, e.upper = filepath.Join(tmp, "work"), filepath.Join(tmp, "upper")
	view := filepath.Join(tmp, "view")
	for _, dir := range []string{e.shared, e.upper, view} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := e.install(ctx); err != nil {
		return nil, err
	}
	if err := e.look(view); err != nil {
		return nil, err
	}
	spec, err := System{Root: view, Arch: e.base.Arch}.addition(e.names)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(e.shared, Package+".spec"), spec, 0o644); err != nil {
		return nil, err
	}
	if err := e.run(ctx, sandbox.Spec{Args: rpmbuild(e.base.Arch), Mounts: []sandbox.Mount{{Source: e.shared, Destination: work}}}); err != nil {
		return nil, err
	}
	if err := e.run(ctx, sandbox.Spec{
		Args: []string{"rpm", "--install", work + "/" + Package + ".rpm"}, Upper: e.upper,
		Mounts: []sandbox.Mount{{Source: e.shared, Destination: work, ReadOnly: true}},
	}); err != nil {
		return nil, err
	}
	for _, name := range leavings {
		if err := os.RemoveAll(filepath.Join(e.upper, name)); err != nil {
			return nil, err
		}
	}
	// As in the image itself.
	if err := os.Truncate(filepath.Join(e.upper, database, "rpmdb.sqlite-shm"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return e.images.AppendFolder(ctx, key, e.base, extensionPackage, e.upper)
}

// install has dpkg install the packages, all in one go.
func (e *extension) install(ctx context.Context) error {
	args := []string{"dpkg", "--force-unsafe-io"}
	for _, path := range unneeded {
		args = append(args, "--path-exclude=/usr/share/"+path+"/*")
	}
	args = append(args, "--path-include=/usr/share/doc/*/copyright", "--install")
	for i, d := range e.debs {
		// A name of ours: theirs may be anything.
		name := strconv.Itoa(i) + ".deb"
		if err := e.store.Link(d.Digest, filepath.Join(e.shared, name)); err != nil {
			return fmt.Errorf("%s: %w", d.File, err)
		}
		args = append(args, work+"/"+name)
	}
	return e.run(ctx, sandbox.Spec{Args: args, Upper: e.upper, Mounts: []sandbox.Mount{{Source: e.shared, Destination: work, ReadOnly: true}}})
}

func (e *extension) run(ctx context.Context, s sandbox.Spec) error {
	var output bytes.Buffer
	s.Name, s.Layers, s.Timeout, s.Privileges = extensionPackage, e.root.Layers, runTimeout, sandbox.PackageManager
	s.Env = []string{"HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SOURCE_DATE_EPOCH=" + strconv.Itoa(image.Epoch)}
	s.Stdout = io.MultiWriter(e.log, &output)
	s.Stderr = s.Stdout
	if err := e.sandbox.Run(ctx, s); err != nil {
		return fmt.Errorf("%s: %w\n%s", s.Args[0], err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// look makes a folder of what was added and of the little of the base that says how
// to read it.
func (e *extension) look(view string) error {
	if err := e.linkTree(e.upper, view); err != nil {
		return err
	}
	for i := len(e.root.Layers) - 1; i >= 0; i-- {
		below := e.root.Layers[i]
		for _, name := range []string{"bin", "sbin", "lib", "lib64", "lib32"} {
			if target, err := os.Readlink(filepath.Join(below, name)); err == nil {
				if err := os.Symlink(target, filepath.Join(view, name)); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
			}
		}
		for _, name := range []string{"etc/os-release", "usr/lib/os-release", "etc/ld.so.conf", "etc/ld.so.conf.d"} {
			from := filepath.Join(below, name)
			if _, err := os.Lstat(from); err != nil {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(view, name)), 0o755); err != nil {
				return err
			}
			if err := e.linkTree(from, filepath.Join(view, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkTree shows the files of one folder in another; what is there stays. Links of
// the tree are copied as they are and never followed.
func (e *extension) linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch mode := entry.Type(); {
		case mode.IsDir():
			err = os.Mkdir(at, 0o755)
		case mode&fs.ModeSymlink != 0:
			var target string
			if target, err = os.Readlink(path); err == nil {
				err = os.Symlink(target, at)
			}
		case mode.IsRegular():
			err = os.Link(path, at)
		}
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	})
}

// addition is the spec of the package that tells of what was added. Names whose
// packages are not installed are none of it.
func (s System) addition(names Names) ([]byte, error) {
	installed, err := s.installed()
	if err != nil {
		return nil, err
	}
	there := Names{}
	for name, debs := range names {
		if !slices.ContainsFunc(debs, func(d string) bool { return installed[d] == "" }) {
			there[name] = debs
		}
	}
	text, err := s.spec(there)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(line, []byte("Name: ")):
			fmt.Fprintf(&b, "Name: %s\n", extensionPackage)
		case bytes.HasPrefix(line, []byte("Provides: rtld(")), bytes.HasPrefix(line, []byte("Provides: system-release")):
			// The image's own package says so.
		default:
			b.Write(line)
		}
	}
	return b.Bytes(), nil
}
