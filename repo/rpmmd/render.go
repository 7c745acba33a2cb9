package rpmmd

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// FragmentFormat changes whenever the same package gives other fragments.
const FragmentFormat = "1"

// Fragments are one package's elements in the three data files.
type Fragments struct {
	Primary, Filelists, Other []byte

	required required     // memory for the next package
	newest   []rpm.Change // and here
}

// Reset empties the fragments and keeps their memory.
func (f *Fragments) Reset() {
	f.Primary, f.Filelists, f.Other = f.Primary[:0], f.Filelists[:0], f.Other[:0]
}

// Append renders a package and appends its elements, with changes of its
// newest changelog entries (see Options). It fails when a name, a version, a
// dependency or a path has a character that XML cannot hold, or a dependency's
// epoch is no number: no client could rely on such metadata.
func (f *Fragments) Append(e Entry, changes int) error {
	if err := e.check(); err != nil {
		return err
	}
	primary, filelists, other := xml{b: f.Primary}, xml{b: f.Filelists}, xml{b: f.Other}
	filelists.head(e)
	primary.primary(e, &f.required)
	files(e.Package, &primary, &filelists)
	primary.raw("  </format>\n</package>\n")
	filelists.raw("</package>\n")
	other.head(e)
	f.newest = other.changelog(f.newest[:0], e.Package, changes)
	other.raw("</package>\n")
	if err := cmp.Or(primary.err, filelists.err, other.err); err != nil {
		return fmt.Errorf("package %s: %w", e.Location, err)
	}
	f.Primary, f.Filelists, f.Other = primary.b, filelists.b, other.b
	return nil
}

// primary writes all of the element but the files and its end.
func (x *xml) primary(e Entry, r *required) {
	p := e.Package
	x.raw("<package type=\"rpm\">\n  <name>")
	x.name(p.Name)
	x.raw("</name>\n  <arch>")
	x.name(p.Arch)
	x.raw("</arch>\n  ")
	x.version(p)
	x.raw("\n  <checksum")
	x.attr("type", e.id().Type)
	x.raw(" pkgid=\"YES\">")
	x.raw(e.id().Value)
	x.raw("</checksum>\n  <summary>")
	x.prose(p.Summary)
	x.raw("</summary>\n  <description>")
	x.prose(p.Description)
	x.raw("</description>\n  <packager>")
	x.prose(p.Packager)
	x.raw("</packager>\n  <url>")
	x.prose(p.URL)
	x.raw("</url>\n  <time file=\"")
	x.int(e.fileTime().Unix())
	x.raw("\" build=\"")
	x.int(p.BuildTime.Unix())
	x.raw("\"/>\n  <size package=\"")
	x.int(p.FileSize)
	x.raw("\" installed=\"")
	x.uint(p.InstalledSize)
	x.raw("\" archive=\"")
	x.uint(p.ArchiveSize)
	x.raw("\"/>\n  <location")
	if e.Base != "" {
		x.attr("xml:base", e.Base)
	}
	x.attr("href", e.Location)
	x.raw("/>\n  <format>\n    <rpm:license>")
	x.prose(p.License)
	x.raw("</rpm:license>\n    <rpm:vendor>")
	x.prose(p.Vendor)
	x.raw("</rpm:vendor>\n    <rpm:group>")
	x.prose(p.Group)
	x.raw("</rpm:group>\n    <rpm:buildhost>")
	x.prose(p.BuildHost)
	x.raw("</rpm:buildhost>\n    <rpm:sourcerpm>")
	x.name(p.SourceRPM)
	x.raw("</rpm:sourcerpm>\n    <rpm:header-range start=\"")
	x.int(p.HeaderStart)
	x.raw("\" end=\"")
	x.int(p.HeaderEnd)
	x.raw("\"/>\n")
	r.take(p)
	x.dependencies("provides", p.Provides())
	x.dependencies("requires", slices.Values(r.strong))
	x.dependencies("conflicts", p.Conflicts())
	x.dependencies("obsoletes", p.Obsoletes())
	x.dependencies("suggests", p.Suggests())
	x.dependencies("enhances", p.Enhances())
	x.dependencies("recommends", concat(slices.Values(r.optional), p.Recommends()))
	x.dependencies("supplements", p.Supplements())
}

// head opens a package's element in filelists and other.
func (x *xml) head(e Entry) {
	x.raw("<package")
	x.attr("pkgid", e.id().Value)
	x.attr("name", e.Package.Name)
	x.attr("arch", e.Package.Arch)
	x.raw(">\n  ")
	x.version(e.Package)
	x.raw("\n")
}

func (x *xml) version(p *rpm.Package) {
	x.raw("<version epoch=\"")
	x.uint(uint64(p.Epoch))
	x.raw("\"")
	x.attr("ver", p.Version)
	x.attr("rel", p.Release)
	x.raw("/>")
}

// dependencies writes a list of them; an empty one is left out.
func (x *xml) dependencies(kind string, list iter.Seq[rpm.Dependency]) {
	first := true
	for d := range list {
		if first {
			x.raw("    <rpm:")
			x.raw(kind)
			x.raw(">\n")
			first = false
		}
		if d.Name != "" {
			x.dependency(d, kind == "requires")
		}
	}
	if !first {
		x.raw("    </rpm:")
		x.raw(kind)
		x.raw(">\n")
	}
}

func (x *xml) dependency(d rpm.Dependency, required bool) {
	x.raw("      <rpm:entry")
	x.attr("name", d.Name)
	if flags := comparison(d.Flags); flags != "" {
		evr := d.EVR()
		if evr.Epoch == "" && strings.Contains(evr.Version, ":") && x.err == nil {
			x.err = fmt.Errorf("the epoch of %q is no number", d)
		}
		x.attr("flags", flags)
		if d.Version != "" {
			x.attr("epoch", cmp.Or(evr.Epoch, "0"))
		}
		if evr.Version != "" {
			x.attr("ver", evr.Version)
		}
		if evr.Release != "" {
			x.attr("rel", evr.Release)
		}
	}
	if required && early(d.Flags) {
		x.attr("pre", "1")
	}
	x.raw("/>\n")
}

// comparison is the metadata's word for a sense. Combinations that mean nothing
// have none (createrepo_c: cr_flag_to_str).
func comparison(s rpm.Sense) string {
	switch s & 0xf {
	case rpm.Less:
		return "LT"
	case rpm.Greater:
		return "GT"
	case rpm.Equal:
		return "EQ"
	case rpm.Less | rpm.Equal:
		return "LE"
	case rpm.Greater | rpm.Equal:
		return "GE"
	default:
		return ""
	}
}

// early says that a requirement must be there before the package's scripts run.
func early(s rpm.Sense) bool { return s&(rpm.PreReq|rpm.ScriptPre|rpm.ScriptPost) != 0 }

// files appends the list of files to both documents: all of them to filelists, the
// primary ones to primary.
func files(p *rpm.Package, primary, filelists *xml) {
	var in folder
	for f := range p.FileNames() {
		if f.Dir != in.path {
			in = newFolder(f.Dir)
		}
		begin := len(filelists.b)
		filelists.raw("  <file")
		switch {
		case f.IsDir():
			filelists.raw(` type="dir"`)
		case f.IsGhost():
			filelists.raw(` type="ghost"`)
		}
		filelists.raw(">")
		if !in.odd && plain(f.Base) {
			filelists.b = append(append(filelists.b, f.Dir...), f.Base...)
		} else {
			filelists.name(f.Dir + f.Base) // whether it is UTF-8 depends on both
		}
		filelists.raw("</file>\n")
		if in.hasPrimary(f.Base) {
			primary.raw("  ")
			primary.b = append(primary.b, filelists.b[begin:]...)
		}
	}
}

// folder is what a package's files have in common that lie in the same one, as most
// do that follow each other.
type folder struct {
	path    string
	odd     bool // it is another one when escaped
	primary bool // all files in it are primary ones
	open    bool // it does not end where a name begins
}

func newFolder(path string) folder {
	return folder{path: path, odd: !plain(path), primary: isPrimary([]byte(path)), open: path != "" && path[len(path)-1] != '/'}
}

// hasPrimary is isPrimary of a file. What makes a path a primary one ends with a
// slash, so that it can only be in the folder; but for one file.
func (d folder) hasPrimary(base string) bool {
	if d.open || strings.IndexByte(base, '/') >= 0 || d.path == "/usr/lib/" {
		return isPrimary([]byte(d.path + base))
	}
	return d.primary
}

// isPrimary says whether clients find a file without loading filelists
// (createrepo_c: cr_is_primary).
func isPrimary(path []byte) bool {
	return bytes.HasPrefix(path, []byte("/etc/")) || string(path) == "/usr/lib/sendmail" || bytes.Contains(path, []byte("bin/"))
}

// changelog writes the newest entries, the oldest of them first. Clients tell
// entries apart by their times, so of several with one time the newer ones are
// moved on by a second each (createrepo_c: cr_package_from_header). It returns
// newest, which it appends them to.
func (x *xml) changelog(newest []rpm.Change, p *rpm.Package, limit int) []rpm.Change {
	if limit == 0 {
		limit = defaultChanges
	}
	last := int64(0)
	for c := range p.Changelog() {
		if limit >= 0 && len(newest) == limit {
			break
		}
		if c.Time == last {
			for i, t := len(newest)-1, c.Time; i >= 0 && newest[i].Time == t; i, t = i-1, t+1 {
				newest[i].Time++
			}
		} else {
			last = c.Time
		}
		newest = append(newest, c)
	}
	for _, c := range slices.Backward(newest) {
		x.raw("  <changelog")
		x.proseAttr("author", trimAuthor(c.Author))
		x.raw(` date="`)
		x.int(c.Time)
		x.raw(`">`)
		x.prose(c.Text)
		x.raw("</changelog>\n")
	}
	return newest
}

// trimAuthor takes spaces from the end, but never all of it.
func trimAuthor(s string) string {
	if t := strings.TrimRight(s, " "); t != "" || s == "" {
		return t
	}
	return s[:1]
}

func concat[T any](lists ...iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, l := range lists {
			for v := range l {
				if !yield(v) {
					return
				}
			}
		}
	}
}
