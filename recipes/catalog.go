package recipes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// Catalog is a complete, consistent set of recipes, families and targets.
type Catalog struct {
	Release string            `yaml:"release,required"` // the release train, as repository and key are named: "3"
	Version string            `yaml:"version,required"` // of the packages that come from the catalogue itself
	Date    Date              `yaml:"date,required"`    // the time stamp of what is generated from the catalogue
	URL     string            `yaml:"url,required"`     // its home
	Defines map[string]string `yaml:"defines"`          // macros that are given to rpmspec and rpmbuild for every job

	Recipes  []*Recipe `yaml:"-"` // by name
	Families []*Family `yaml:"-"` // by name
	Targets  []*Target `yaml:"-"` // by name
	Pins     []*Pin    `yaml:"-"` // by name
	Shared   []File    `yaml:"-"` // copied into every job's _sourcedir
	FS       fs.FS     `yaml:"-"` // where the files are
}

// Date is a day, written 2024-10-21.
type Date struct{ time.Time }

// UnmarshalText accepts a day in UTC.
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return fmt.Errorf("must be a day such as 2024-10-21, not %q", text)
	}
	d.Time = t
	return nil
}

// NotFoundError says that a catalogue has nothing of that name.
type NotFoundError struct {
	What  string // recipe, target, family, …
	Name  string
	Known []string
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("there is no %s %q", e.What, e.Name)
	if hint := strict.DidYouMean(e.Name, e.Known); hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

// Recipe finds a recipe by its name. The error is a *[NotFoundError].
func (c *Catalog) Recipe(name string) (*Recipe, error) {
	return find("recipe", name, c.Recipes, func(r *Recipe) string { return r.Name })
}

// Target finds a target by its name. The error is a *[NotFoundError].
func (c *Catalog) Target(name string) (*Target, error) {
	return find("target", name, c.Targets, func(t *Target) string { return t.Name })
}

// Family finds a family by its name. The error is a *[NotFoundError].
func (c *Catalog) Family(name string) (*Family, error) {
	return find("family", name, c.Families, func(f *Family) string { return f.Name })
}

// Pin finds a pin by its name. The error is a *[NotFoundError].
func (c *Catalog) Pin(name string) (*Pin, error) {
	return find("pin", name, c.Pins, func(p *Pin) string { return p.Name })
}

// Followers are the recipes that are built from a pin's source tree.
func (c *Catalog) Followers(p *Pin) []*Recipe {
	var followers []*Recipe
	for _, r := range c.Recipes {
		if r.Pin == p {
			followers = append(followers, r)
		}
	}
	return followers
}

func find[T any](what, name string, in []*T, nameOf func(*T) string) (*T, error) {
	known := make([]string, len(in))
	for i, v := range in {
		if nameOf(v) == name {
			return v, nil
		}
		known[i] = nameOf(v)
	}
	return nil, &NotFoundError{What: what, Name: name, Known: known}
}

// Read returns a file's bytes, and a *[store.CorruptError] when they changed
// after the catalogue was loaded.
func (c *Catalog) Read(f File) ([]byte, error) {
	data, err := ReadFile(c.FS, f.Path)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the catalogue: %w", f.Path, err)
	}
	if got := store.Of(data); got != f.Digest {
		return nil, &store.CorruptError{Path: f.Path, Want: f.Digest, Got: got}
	}
	return data, nil
}

// maxFile bounds a file of a catalogue in bytes: what is larger is a source and
// fetched.
const maxFile = 16 << 20

// ReadFile reads a regular file of a catalogue, of at most 16 MiB.
func ReadFile(fsys fs.FS, name string) ([]byte, error) {
	// Before it is opened: a pipe would keep open waiting.
	fi, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer io.Closer(f).Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return data, nil
}
