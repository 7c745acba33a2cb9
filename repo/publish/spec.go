package publish

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// Spec says what a snapshot is for.
type Spec struct {
	Root    string   // the folder that is served
	Release string   // "3" or "3.2"
	Target  string   // "EL_9"
	Arches  []string // that the target has, by rpm's names; of two source packages with the same files the earlier one's is taken

	// BaseURL is where clients find Root: "https://host/repos" or
	// "file:///srv/repos". It is written into the .repo file.
	BaseURL string

	// Key signs the metadata; it must have signed every package too, because
	// it is the one key that clients are given.
	Key *sign.Key

	// Time is the metadata's time and that of their signature; by default the
	// newest package's build time, so that the same packages give the same bytes.
	Time time.Time

	Compression rpmmd.Compression
}

// Package is a package in the store.
type Package struct {
	Digest store.Digest
	Origin string // for messages: the job that built it
	File   string // the name under which it was built; when given it must be the right one
}

// Folders of a snapshot beside those of the architectures.
const (
	noarchDir = "noarch"
	sourceDir = "src"
)

const (
	product       = "OpenHPC"
	keyFilePrefix = "RPM-GPG-KEY-"
)

// word is a name that becomes a folder's. Beginning with a letter or a digit it
// is neither hidden nor a way out.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (s Spec) check() error {
	switch {
	case s.Root == "":
		return errors.New("no folder to publish in")
	case !word.MatchString(s.Release):
		return fmt.Errorf("release %q cannot be a folder's name", s.Release)
	case !word.MatchString(s.Target):
		return fmt.Errorf("target %q cannot be a folder's name", s.Target)
	case len(s.Arches) == 0:
		return fmt.Errorf("target %s has no architectures", s.Target)
	case s.Key == nil:
		return errors.New("no key to sign the repository with")
	}
	for _, a := range s.Arches {
		if !word.MatchString(a) || slices.Contains([]string{noarchDir, sourceDir, rpmmd.Dir}, a) {
			return fmt.Errorf("%q is no architecture", a)
		}
	}
	_, err := s.url()
	return err
}

// url is where clients find the target.
func (s Spec) url() (string, error) {
	u, err := url.Parse(s.BaseURL)
	if err != nil || !slices.Contains([]string{"http", "https", "file"}, u.Scheme) {
		return "", fmt.Errorf("base URL %q: expected http://…, https://… or file:///…", s.BaseURL)
	}
	return u.JoinPath(product, s.Release, s.Target).String(), nil
}

// KeyFile is the name of a release's public key file.
func KeyFile(release string) string {
	major, _, _ := strings.Cut(release, ".")
	return keyFilePrefix + product + "-" + major
}

func snapshotsDir(root, target string) string { return filepath.Join(root, ".snapshots", target) }

// linkPath is the name that clients use.
func linkPath(root, release, target string) string {
	return filepath.Join(root, product, release, target)
}
