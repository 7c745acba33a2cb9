package create

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Select says which packages of the folder are meant.
type Select struct {
	// Only names packages by their paths in the folder; nil stands for all.
	Only []string
	// Recycle adds those that the old metadata have, where they are.
	Recycle bool
	// Exclude are patterns of paths in the folder, or of names alone: a star stands for any
	// characters, slashes too, a question mark for one.
	Exclude []string
	// SkipSymlinks leaves out packages that are symbolic links.
	SkipSymlinks bool
}

// Place says where clients find packages.
type Place struct {
	Base    string // URL that locations are relative to, if not the repository's
	Prefix  string // put before locations
	CutDirs int    // so many folders are taken from locations before
}

// candidate is a package's file.
type candidate struct {
	path     string // slash-separated, in the folder
	location string
	stat     stat
}

// stat is what tells that a file is still the same.
type stat struct {
	size, mtime int64 // bytes; nanoseconds since 1970
	inode       uint64
}

func (c *creation) list(ctx context.Context) ([]*candidate, error) {
	var (
		found []*candidate
		err   error
	)
	if c.Select.Only != nil || c.Select.Recycle {
		found, err = c.named()
	} else {
		found, err = c.walk(ctx)
	}
	if err != nil {
		return nil, err
	}
	var bad badFiles
	for _, p := range found {
		p.location = c.Place.location(p.path)
	}
	slices.SortFunc(found, func(a, b *candidate) int { return cmp.Compare(a.location, b.location) })
	for i := 1; i < len(found); i++ {
		if a, b := found[i-1], found[i]; a.location == b.location {
			bad.add(b.path, fmt.Errorf("it has the same location, %s, as %q", b.location, a.path))
		}
	}
	distinctFolded(found, &bad)
	return found, bad.err()
}

func (p Place) location(file string) string {
	for range p.CutDirs {
		if _, rest, ok := strings.Cut(file, "/"); ok {
			file = rest
		}
	}
	if p.Prefix == "" {
		return file
	}
	return path.Join(p.Prefix, file)
}

// distinctFolded refuses names that differ only by case: on some file systems and
// behind some servers they are one.
func distinctFolded(found []*candidate, bad *badFiles) {
	folded := map[string]*candidate{}
	for _, p := range found {
		if lower := strings.ToLower(p.location); lower != p.location {
			if o, ok := folded[lower]; ok {
				bad.add(p.path, fmt.Errorf("its name differs only by case from %q", o.path))
			}
			folded[lower] = p
		}
	}
	if len(folded) == 0 {
		return
	}
	for _, p := range found {
		if o, ok := folded[p.location]; ok {
			bad.add(o.path, fmt.Errorf("its name differs only by case from %q", p.path))
		}
	}
}

// walk finds all packages. Folders that are symbolic links are not entered: what
// is below the folder is found where it is.
func (c *creation) walk(ctx context.Context) ([]*candidate, error) {
	var (
		found []*candidate
		bad   badFiles
	)
	err := c.walkFolder(ctx, ".", func(folder int, name string, d fs.DirEntry) {
		switch link := d.Type() == fs.ModeSymlink; {
		case !link && !isPackage(name), link && c.Select.SkipSymlinks, excluded(name, c.Select.Exclude):
			return
		}
		p, err := c.candidate(folder, name, d)
		if err != nil {
			bad.add(name, err)
		} else if p != nil {
			found = append(found, p)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking for packages in %s: %w", c.Dir, err)
	}
	return found, bad.err()
}

// walkFolder calls visit for all in a folder, and below, that is none, with the
// open folder that it is in.
func (c *creation) walkFolder(ctx context.Context, name string, visit func(folder int, name string, d fs.DirEntry)) error {
	opened, err := c.open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	// What an os.Root lists, it looks at: that is a call for each file, to know
	// what the listing says already.
	folder := opened.folder(filepath.Join(c.Dir, filepath.FromSlash(name)))
	defer folder.Close()
	entries, err := folder.ReadDir(-1)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	for _, d := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		below := path.Join(name, d.Name())
		if !d.IsDir() {
			visit(opened.fd, below, d)
		} else if d.Name() != rpmmd.Dir && !strings.HasPrefix(d.Name(), temporary) {
			if err := c.walkFolder(ctx, below, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func isPackage(name string) bool { return strings.HasSuffix(name, ".rpm") }

// candidate looks at a file in an open folder, or at what a symbolic link leads to;
// nil is neither a package nor to be worried about.
func (c *creation) candidate(folder int, name string, d fs.DirEntry) (*candidate, error) {
	switch {
	case d.Type() == fs.ModeSymlink:
		fi, err := c.root.Stat(filepath.FromSlash(name))
		if err != nil {
			return nil, c.linkError(name, err)
		}
		if fi.IsDir() || !isPackage(name) {
			return nil, nil
		}
		return regular(name, fi)
	case !d.Type().IsRegular():
		return nil, errNotRegular
	case len(c.index.packages) == 0:
		return &candidate{path: name}, nil // it is read in any case
	}
	s, err := statIn(folder, d.Name())
	return &candidate{path: name, stat: s}, err
}

func regular(name string, fi fs.FileInfo) (*candidate, error) {
	if !fi.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return &candidate{path: name, stat: statOf(fi)}, nil
}

// linkError says what is wrong with a link that cannot be followed inside of the
// folder, nil when it cannot be meant as a package or a folder of them.
func (c *creation) linkError(name string, err error) error {
	target, outside := os.Stat(filepath.Join(c.Dir, filepath.FromSlash(name)))
	switch {
	case outside != nil && isPackage(name):
		return fmt.Errorf("it is a symbolic link that leads nowhere: %w", outside)
	case outside != nil || !target.IsDir() && !isPackage(name):
		return nil
	}
	return fmt.Errorf("it is a symbolic link out of the folder (%w); clients could not follow it: put the file there, or leave links out with --skip-symlinks", err)
}

func statOf(fi fs.FileInfo) stat {
	s := stat{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// named finds the packages that a list and the old metadata name.
func (c *creation) named() ([]*candidate, error) {
	var (
		found []*candidate
		bad   badFiles
	)
	seen := map[string]bool{}
	add := func(name string, needed bool) {
		clean := path.Clean(name)
		if seen[clean] || excluded(clean, c.Select.Exclude) {
			return
		}
		seen[clean] = true
		if !fs.ValidPath(clean) || clean == "." {
			bad.add(name, errors.New("it does not lie in the folder of packages"))
			return
		}
		if !needed && c.SkipStat && c.index.find(c.Place.location(clean)) != nil {
			found = append(found, &candidate{path: clean})
			return
		}
		if c.Select.SkipSymlinks {
			if fi, err := c.root.Lstat(filepath.FromSlash(clean)); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
				return
			}
		}
		fi, err := c.root.Stat(filepath.FromSlash(clean))
		var p *candidate
		if err == nil {
			p, err = regular(clean, fi)
		}
		switch {
		case err == nil:
			found = append(found, p)
		case needed || !errors.Is(err, fs.ErrNotExist):
			bad.add(name, err)
		}
	}
	for _, name := range c.Select.Only {
		add(name, true)
	}
	if c.Select.Recycle {
		if err := c.recycle(func(name string) { add(name, false) }); err != nil {
			return nil, err
		}
	}
	return found, bad.err()
}

// recycle calls fn with the path of each package of the old metadata.
func (c *creation) recycle(fn func(name string)) error {
	if c.Place.CutDirs > 0 || c.Place.Prefix != "" {
		return errors.New("the old list of packages cannot be used where locations are not paths (--recycle-pkglist with --cut-dirs or --location-prefix)")
	}
	if c.old == nil {
		return nil
	}
	if c.index.describes {
		for i := range c.index.packages {
			fn(c.index.packages[i].location)
		}
		return nil
	}
	primary, ok := c.old.Find("primary")
	if !ok {
		return fmt.Errorf("reading the old list of packages: %s names no primary data", rpmmd.RepomdFile)
	}
	r, err := rpmmd.OpenData(c.Output, primary)
	if err != nil {
		return fmt.Errorf("reading the old list of packages: %w", err)
	}
	defer r.Close()
	if _, err := rpmmd.ReadPrimary(r, func(rec rpmmd.Record) error {
		fn(rec.Location)
		return nil
	}); err != nil {
		return fmt.Errorf("reading the old list of packages: %w", err)
	}
	return nil
}

// excluded matches as createrepo_c does, with GLib's patterns.
func excluded(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) || match(p, path.Base(name)) })
}

// match goes back to the last star only, so that it takes no more than the
// product of the lengths.
func match(pattern, name string) bool {
	star, from := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
