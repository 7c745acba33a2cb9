package publish

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
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

	// Groups are written for clients that install by group.
	Groups []group.Group

	// Previous is the snapshot that clients have now, if any. What is newer than
	// there is told in advisories, made of changelogs.
	Previous *snapshot.Snapshot

	// Memory is a file in which is kept what is known of the target's packages, so that
	// the next snapshot takes as long as what has changed. The bytes do not depend on
	// it. When empty, or when it cannot be used, everything is read.
	Memory string

	// Held is the tree's lock when the caller has it.
	Held *lock.Lock

	Log *slog.Logger // is told what harms nobody; may be nil
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

func (s Spec) check() error {
	switch {
	case s.Root == "":
		return errors.New("no folder to publish in")
	case len(s.Arches) == 0:
		return fmt.Errorf("target %s has no architectures", s.Target)
	case s.Key == nil:
		return errors.New("no key to sign the repository with")
	}
	if err := s.pointer().Check(); err != nil {
		return err
	}
	for _, a := range s.Arches {
		if !layout.IsWord(a) || slices.Contains([]string{noarchDir, sourceDir, rpmmd.Dir}, a) {
			return fmt.Errorf("%q is no architecture", a)
		}
	}
	_, err := layout.ParseURL(s.BaseURL)
	return err
}

// pointer is where the snapshot is released, and what its .repo file names.
func (s Spec) pointer() layout.Pointer {
	return layout.Pointer{Release: s.Release, Channel: layout.Release, Target: s.Target}
}

// ClientFile is the .repo file for the target's users. keyURL is where its public
// key is found: empty for the copy beside the packages. It depends on no snapshot.
func (s Spec) ClientFile(keyURL string) ([]byte, error) {
	base, err := layout.ParseURL(s.BaseURL)
	if err != nil {
		return nil, err
	}
	return layout.ClientFile(base, s.pointer(), keyURL)
}
