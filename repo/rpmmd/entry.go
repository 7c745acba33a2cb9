package rpmmd

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Entry is one package and its place in the repository.
type Entry struct {
	Package  *rpm.Package
	Location string // slash-separated path of the file, relative to the repository's root
	SHA256   string // digest of the file, hexadecimal; it is the package's identity in the metadata

	// Checksum is the digest in place of SHA256 where it is to be another one.
	Checksum Checksum

	// Base is the URL that the location is relative to, if not the repository's.
	Base string

	// FileTime is what the metadata give as the file's time. The zero value
	// stands for the package's build time, which does not change when the
	// file is copied.
	FileTime time.Time
}

func (e Entry) check() error {
	if !fs.ValidPath(e.Location) || e.Location == "." || strings.ContainsAny(e.Location, "\\:?#") || !printable(e.Location) {
		return fmt.Errorf("%q is no safe location for a package in a repository", e.Location)
	}
	id := e.id()
	h, err := newHash(id)
	if err != nil {
		return fmt.Errorf("package %s: %w", e.Location, err)
	}
	if b, err := hex.DecodeString(id.Value); err != nil || len(b) != h.Size() {
		return fmt.Errorf("package %s: %q is not a %s digest", e.Location, id.Value, id.Type)
	}
	return nil
}

// id is the digest that tells the package from others.
func (e Entry) id() Checksum {
	if e.Checksum != (Checksum{}) {
		return e.Checksum
	}
	return Checksum{Type: "sha256", Value: e.SHA256}
}

func (e Entry) fileTime() time.Time {
	if e.FileTime.IsZero() {
		return e.Package.BuildTime
	}
	return e.FileTime
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return false
		}
	}
	return true
}

// Options say how metadata are written. The zero value is right for most.
type Options struct {
	// Revision and Time are written into repomd.xml; when empty or zero, the
	// time of the newest package's build is.
	Revision string
	Time     time.Time

	Compression Compression

	// Checksum is the kind of digest that repomd.xml has of data files: sha256,
	// when empty, sha384 or sha512, and for old clients sha1 or sha224.
	Checksum string

	// SimpleNames leaves the digest out of data files' names. Readers can then
	// find another one's content under a name.
	SimpleNames bool

	// Workers is how many blocks of packages are compressed at a time, as many as
	// there are processors when 0. The bytes do not depend on it.
	Workers int

	// Unsynced leaves it to the caller to make the files durable.
	Unsynced bool

	// Documents are further files that repomd.xml names, in this order after
	// the three of every repository.
	Documents []Document

	// Keep are further data files still, which the caller puts where they say
	// they are; they are named as they are.
	Keep []Data

	// Tags say what the repository is, for people and for tools that sort them.
	Tags Tags

	// Changes is how many of a package's newest changelog entries are
	// written: 0 stands for ten, as in createrepo_c, a negative number for all.
	Changes int
}

const defaultChanges = 10

// Document is a file of metadata that is written elsewhere: package groups,
// advisories and the like. Groups are stored as they are and compressed, because
// old clients know only one of the two; everything else is compressed.
type Document struct {
	Kind    string // type in repomd.xml: "group", "updateinfo", …
	Name    string // of the file, without digest and compression: "comps.xml"
	Content []byte
}

// KindGroup and KindUpdateinfo are the kinds of documents that clients of today
// know by themselves.
const (
	KindGroup      = "group"
	KindUpdateinfo = "updateinfo"
)

// documentWord is what the kind and the name of a document are made of.
var documentWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (d Document) check() error {
	if !documentWord.MatchString(d.Kind) || !documentWord.MatchString(d.Name) {
		return fmt.Errorf("%q of kind %q is no document for a repository: letters, digits, dots, dashes and underscores are allowed", d.Name, d.Kind)
	}
	return nil
}

// Tags are repomd.xml's tags element.
type Tags struct {
	Content []string
	Repo    []string
	Distro  []Distro
}

// Distro names a distribution, and optionally its CPE.
type Distro struct {
	CPE, Name string
}

// Compression is how data files are compressed.
type Compression string

// Gzip can be read by every client. Zstd is smaller and faster, and EL 7 and
// older cannot read it.
const (
	Gzip Compression = "gz"
	Zstd Compression = "zst"
)
