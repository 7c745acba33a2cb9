package resolve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	// LockVersion is the version of the format of lock files.
	LockVersion = 1

	// maxPackages bounds what one build root may hold beside its image.
	maxPackages = 5000
)

// Lock says exactly what a job's build root is made of. The same lock is the same
// root, whatever the repositories hold by then.
type Lock struct {
	Version  int          `json:"version"`
	Job      string       `json:"job"`
	Target   string       `json:"target"`
	Arch     string       `json:"arch"`
	Image    store.Digest `json:"image"`
	Manager  string       `json:"manager,omitempty"` // who was asked; empty: what is our own was enough
	Requires []string     `json:"requires"`          // what the build requires, sorted
	Packages []Package    `json:"packages"`          // by kind and file name
}

// Package is one package of a lock.
type Package struct {
	Name   string       `json:"name"`
	EVR    string       `json:"evr"`
	Arch   string       `json:"arch"`
	Kind   string       `json:"kind"` // KindRPM or KindDeb
	File   string       `json:"file"`
	Digest store.Digest `json:"digest"`
	Origin Origin       `json:"origin"`
}

// The kinds of packages.
const (
	KindRPM = "rpm"
	KindDeb = "deb"
)

// Origin is where a package comes from: a job of ours, or a repository.
type Origin struct {
	Job        string `json:"job,omitempty"`
	Repository string `json:"repository,omitempty"` // its name in the image's configuration
	URL        string `json:"url,omitempty"`        // of the package
}

func (o Origin) String() string {
	if o.Job != "" {
		return "job " + o.Job
	}
	return cmp.Or(o.URL, "repository "+o.Repository)
}

// Sort puts everything into the order in which it is written.
func (l *Lock) Sort() {
	slices.Sort(l.Requires)
	l.Requires = slices.Compact(l.Requires)
	slices.SortFunc(l.Packages, func(a, b Package) int {
		return cmp.Or(strings.Compare(b.Kind, a.Kind), strings.Compare(a.File, b.File), strings.Compare(string(a.Digest), string(b.Digest)))
	})
}

// Of are the packages of a kind.
func (l *Lock) Of(kind string) []Package {
	var of []Package
	for _, p := range l.Packages {
		if p.Kind == kind {
			of = append(of, p)
		}
	}
	return of
}

// JSON is the lock as it is written to a file: the same lock has the same bytes.
func (l *Lock) JSON() ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // people read requirements such as a >= 1
	err := enc.Encode(l)
	return text.Bytes(), err
}

// ReadLock reads a lock file. What it says is checked: it may come from anywhere.
func ReadLock(text []byte) (*Lock, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	l := &Lock{}
	if err := dec.Decode(l); err != nil {
		return nil, fmt.Errorf("it is no lock file: %w", err)
	}
	if l.Version != LockVersion {
		return nil, fmt.Errorf("it is a lock file of version %d, and this program reads version %d", l.Version, LockVersion)
	}
	if l.Job == "" || len(l.Packages) > maxPackages {
		return nil, fmt.Errorf("it names no job, or more than %d packages", maxPackages)
	}
	for _, p := range l.Packages {
		if err := p.check(); err != nil {
			return nil, err
		}
	}
	l.Sort()
	return l, nil
}

func (p Package) check() error {
	if p.Kind != KindRPM && p.Kind != KindDeb {
		return fmt.Errorf("package %q: %q is no kind of package", p.File, p.Kind)
	}
	if !fileName(p.File) || !strings.HasSuffix(p.File, "."+p.Kind) {
		return fmt.Errorf("%q is not the name of a file of the kind %s", p.File, p.Kind)
	}
	if _, err := store.ParseDigest(string(p.Digest)); err != nil || !strings.Contains(string(p.Digest), ":") {
		return fmt.Errorf("package %s: %q is not a digest", p.File, p.Digest)
	}
	if p.Origin == (Origin{}) {
		return fmt.Errorf("package %s: nothing says where it comes from", p.File)
	}
	return nil
}

// fileName says whether a name stays in the folder that it is put into, and is no
// option of a command.
func fileName(name string) bool {
	return name != "" && filepath.Base(name) == name && name[0] != '-' && name[0] != '.' &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// Differs says why a lock is not one for a job that is to be built in an image and
// requires this; nil when it is.
func (l *Lock) Differs(job, arch string, image store.Digest, requires []string) error {
	var errs []error
	add := func(what, locked, now string) {
		if locked != now {
			errs = append(errs, fmt.Errorf("%s was %s and is %s", what, locked, now))
		}
	}
	add("the job", l.Job, job)
	add("the architecture", l.Arch, arch)
	add("the image", string(l.Image), string(image))
	locked, now := slices.Clone(l.Requires), slices.Clone(requires)
	slices.Sort(now)
	now = slices.Compact(now)
	for _, r := range now {
		if !slices.Contains(locked, r) {
			errs = append(errs, fmt.Errorf("it did not require %s", r))
		}
	}
	for _, r := range locked {
		if !slices.Contains(now, r) {
			errs = append(errs, fmt.Errorf("it no longer requires %s", r))
		}
	}
	return errors.Join(errs...)
}
