package updateinfo

import (
	"cmp"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Advisory says why one or more packages were updated.
type Advisory struct {
	ID          string
	Kind        Kind
	Severity    string // "Critical", "Important", "Moderate", "Low", or empty when nobody said
	Title       string
	Description string
	From        string    // who to ask
	Status      string    // "final"
	Version     string    // of the advisory itself
	Release     string    // the product that it is for
	Rights      string    // copyright
	Issued      time.Time // in whole seconds
	Updated     time.Time // zero when never
	References  []Reference
	Packages    []Update
}

// Kind says what an advisory is about, in updateinfo's words.
type Kind string

// The kinds that clients know.
const (
	Security    Kind = "security"
	Bugfix      Kind = "bugfix"
	Enhancement Kind = "enhancement"
	NewPackage  Kind = "newpackage"
)

// Reference is something to read about an advisory.
type Reference struct {
	Kind  string // "cve", "bugzilla", "self", …
	ID    string
	Title string
	URL   string
}

// Update is one package that an advisory brings.
type Update struct {
	Name, Version, Release, Arch string
	Epoch                        string // "0" when there is none
	Source                       string // file name of the source package
	FileName                     string
	Checksum                     rpmmd.Checksum // of the file; its type is empty when not given
}

// Merge is what a repository says when advisories are added to those of its
// previous state: those with a new ID, and the later ones of the same ID. It is
// sorted by time of issue and ID.
func Merge(previous, added []Advisory) []Advisory {
	byID := map[string]Advisory{}
	for _, list := range [][]Advisory{previous, added} {
		for _, a := range list {
			byID[a.ID] = a
		}
	}
	all := make([]Advisory, 0, len(byID))
	for _, a := range byID {
		all = append(all, a)
	}
	slices.SortFunc(all, order)
	return all
}

func order(a, b Advisory) int { return cmp.Or(a.Issued.Compare(b.Issued), cmp.Compare(a.ID, b.ID)) }
