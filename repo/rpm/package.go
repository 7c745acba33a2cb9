package rpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Package is what an RPM file's headers say. Texts are as in the header and may
// hold any bytes but NUL.
type Package struct {
	Name, Version, Release string
	Epoch                  uint32 // 0 also when there is none
	Arch                   string // as rpm names it; "src" for a source package
	BuildArch              string // the arch tag: where a source package was written

	Summary, Description, URL, License string
	Vendor, Group, Packager, BuildHost string
	SourceRPM                          string // empty in a source package
	BuildTime                          time.Time

	InstalledSize uint64 // bytes
	ArchiveSize   uint64 // bytes of the payload, uncompressed
	FileSize      int64  // bytes of the whole file
	HeaderStart   int64  // byte range of the main header in the file
	HeaderEnd     int64

	// Format is the package's format: 6, 4, or 3 when nothing in its main
	// header is marked as immutable.
	Format int

	PayloadFormat     string // "cpio"
	PayloadCompressor string // "gzip", "xz", "zstd", …

	// Signed says that there is a signature, not that it is right.
	Signed bool

	lead      string
	signature *Header
	header    *Header
}

const leadSize = 96

// firstRead is usually enough for the lead, the signature header and the main
// header's intro.
const firstRead = 8 << 10

// Read reads the headers of the size bytes long package in r. It reads nothing
// of the payload and verifies no digest: see VerifyDigests.
func Read(r io.ReaderAt, size int64) (*Package, error) {
	first := make([]byte, max(0, min(size, firstRead)))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), first); err != nil {
		return nil, fmt.Errorf("reading the lead: %w", err)
	}
	p := &Package{}
	if err := p.read(&window{r: r, size: size, first: first}); err != nil {
		return nil, err
	}
	return p, nil
}

// read makes another package of p, in the memory of the one that it was.
func (p *Package) read(f *window) error {
	*p = Package{FileSize: f.size, signature: p.signature, header: p.header}
	if p.header == nil {
		p.signature, p.header = &Header{}, &Header{}
	}
	var err error
	if p.lead, err = f.text(0, leadSize); err != nil {
		return fmt.Errorf("reading the lead: %w", err)
	}
	if err := checkLead(p.lead); err != nil {
		return err
	}
	signatureEnd, err := f.header(p.signature, leadSize, tagHeaderSignatures)
	if err != nil {
		return fmt.Errorf("reading the signature header: %w", err)
	}
	p.HeaderStart = (signatureEnd + 7) &^ 7 // padded to eight bytes
	if p.HeaderEnd, err = f.header(p.header, p.HeaderStart, tagHeaderImmutable); err != nil {
		return fmt.Errorf("reading the main header: %w", err)
	}
	if err := p.fill(); err != nil {
		return fmt.Errorf("reading the main header: %w", err)
	}
	return nil
}

// ReadFile reads the headers of the package at path.
func ReadFile(path string) (*Package, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading package: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading package: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("reading package %s: not a regular file", path)
	}
	p, err := Read(f, fi.Size())
	if err != nil {
		return nil, fmt.Errorf("reading package %s: %w", path, err)
	}
	return p, nil
}

// ErrNotPackage says that a file does not begin like an RPM package.
var ErrNotPackage = errors.New("not an RPM package")

// checkLead checks what rpm checks (rpm: rpmlead.c); the rest of the lead is
// not to be relied on.
func checkLead(lead string) error {
	if lead[:4] != "\xed\xab\xee\xdb" {
		return ErrNotPackage
	}
	if major := lead[4]; major < 3 || major > 4 {
		return fmt.Errorf("unsupported package format %d", major)
	}
	if kind := binary.BigEndian.Uint16([]byte(lead[78:80])); kind != 5 {
		return fmt.Errorf("unsupported kind of signature %d", kind)
	}
	return nil
}

// fill reads the main header's single values.
func (p *Package) fill() error {
	h := p.header
	p.Name, p.Version, p.Release = h.Text(TagName), h.Text(TagVersion), h.Text(TagRelease)
	p.BuildArch = h.Text(TagArch)
	for _, required := range []struct {
		tag   Tag
		name  string
		value string
	}{{TagName, "name", p.Name}, {TagVersion, "version", p.Version}, {TagRelease, "release", p.Release}, {TagArch, "arch", p.BuildArch}} {
		if required.value == "" {
			return fmt.Errorf("it has no %s (tag %d)", required.name, required.tag)
		}
	}
	source, err := isSource(h)
	if err != nil {
		return err
	}
	if p.Arch = p.BuildArch; source {
		p.Arch = "src"
	}
	p.Epoch = uint32(h.Ints(TagEpoch).At(0))
	p.Summary, p.Description, p.URL = h.Text(TagSummary), h.Text(TagDescription), h.Text(TagURL)
	p.License, p.Vendor, p.Group = h.Text(TagLicense), h.Text(TagVendor), h.Text(TagGroup)
	p.Packager, p.BuildHost, p.SourceRPM = h.Text(TagPackager), h.Text(TagBuildHost), h.Text(TagSourceRPM)
	p.BuildTime = time.Unix(int64(h.Ints(TagBuildTime).At(0)), 0).UTC()
	p.InstalledSize = firstInt(h.Ints(TagLongSize), h.Ints(TagSize))
	if p.Format, err = format(h); err != nil {
		return err
	}
	if p.Format >= 6 {
		p.ArchiveSize = h.Ints(TagPayloadSizeAlt).At(0)
	} else {
		p.ArchiveSize = firstInt(p.signature.Ints(SigLongArchiveSize), p.signature.Ints(SigPayloadSize), h.Ints(TagArchiveSize))
	}
	p.PayloadFormat, p.PayloadCompressor = h.Text(TagPayloadFormat), h.Text(TagPayloadCompressor)
	for _, tag := range signatureTags {
		p.Signed = p.Signed || p.has(tag)
	}
	return p.checkLists()
}

// isSource tells a source package as rpm does: it has no tag that names the
// source package it came from. Where neither tag is there, as in packages older
// than both, its files have no directory (rpm: headerIsSourceHeuristic).
func isSource(h *Header) (bool, error) {
	fromSource, source := h.Has(TagSourceRPM), h.Has(TagSourcePackage)
	switch {
	case fromSource && source:
		return false, errors.New("it claims to be a source package and to be built from one")
	case fromSource || source:
		return source, nil
	}
	return h.Count(TagDirNames) == 1 && h.Text(TagDirNames) == "", nil
}

// format tells a package's format as rpm does (rpm: tagexts.cc, rpmformatTag).
func format(h *Header) (int, error) {
	switch n := h.Ints(TagFormat); {
	case n.Len() > 0 && n.At(0) != 6:
		return 0, fmt.Errorf("unsupported package format %d", n.At(0))
	case n.Len() > 0:
		return 6, nil
	case h.immutable:
		return 4, nil
	}
	return 3, nil
}

func firstInt(candidates ...Ints) uint64 {
	for _, c := range candidates {
		if c.Len() > 0 {
			return c.At(0)
		}
	}
	return 0
}

// Header is the main header: the one that signatures and digests cover.
func (p *Package) Header() *Header { return p.header }

// SignatureHeader is the header in front of the main one. Nothing protects it.
func (p *Package) SignatureHeader() *Header { return p.signature }

// Source says whether it is a source package.
func (p *Package) Source() bool { return p.Arch == "src" }

// NoSource says whether it is a source package that leaves sources or patches out.
func (p *Package) NoSource() bool {
	return p.Source() && (p.header.Has(TagNoSource) || p.header.Has(TagNoPatch))
}

// SplitSource splits the file name of a source package, name-version-release.src.rpm,
// after the name.
func SplitSource(file string) (name, versionRelease string, ok bool) {
	s := strings.TrimSuffix(strings.TrimSuffix(file, ".src.rpm"), ".nosrc.rpm")
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		if j := strings.LastIndexByte(s[:i], '-'); j > 0 {
			return s[:j], s[j+1:], true
		}
	}
	return "", "", false
}

// EVR is the package's epoch (empty when 0), version and release.
func (p *Package) EVR() EVR {
	e := EVR{Version: p.Version, Release: p.Release}
	if p.Epoch != 0 {
		e.Epoch = strconv.FormatUint(uint64(p.Epoch), 10)
	}
	return e
}

// NEVRA is name-[epoch:]version-release.arch.
func (p *Package) NEVRA() string { return p.Name + "-" + p.EVR().String() + "." + p.Arch }

// FileName is what a package's file is called: name-version-release.arch.rpm,
// where arch is nosrc for a source package that leaves sources out. Whoever makes
// a path of it checks it first: the parts can hold anything.
func (p *Package) FileName() string {
	arch := p.Arch
	if p.NoSource() {
		arch = "nosrc"
	}
	return p.Name + "-" + p.Version + "-" + p.Release + "." + arch + ".rpm"
}

// Change is one entry of a package's changelog.
type Change struct {
	Time   int64 // seconds since 1970
	Author string
	Text   string
}

// Changelog iterates over the changes, the newest first.
func (p *Package) Changelog() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		times := p.header.Ints(TagChangelogTime)
		authors, texts := p.header.cursor(TagChangelogName), p.header.cursor(TagChangelogText)
		for i := range times.Len() {
			c := Change{Time: int64(times.At(i))}
			c.Author, _ = authors.next()
			c.Text, _ = texts.next()
			if !yield(c) {
				return
			}
		}
	}
}

// window reads parts of a file, most of them from its first bytes.
type window struct {
	r     io.ReaderAt
	size  int64
	first []byte
	lent  bool // first stays as it is while the package is in use
}

// bytes returns n bytes at off, and whether they are nobody else's, or an error when
// the file is too short: so no more is ever allocated than the file has.
func (w *window) bytes(off, n int64) (_ []byte, own bool, _ error) {
	if off < 0 || n < 0 || off > w.size || n > w.size-off {
		return nil, false, fmt.Errorf("%w: %d bytes at %d, the file has %d", io.ErrUnexpectedEOF, n, off, w.size)
	}
	if off+n <= int64(len(w.first)) {
		return w.first[off : off+n], w.lent, nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(w.r, off, n), b); err != nil {
		return nil, false, err
	}
	return b, true, nil
}

// text is bytes as a string.
func (w *window) text(off, n int64) (string, error) {
	b, own, err := w.bytes(off, n)
	if err != nil || !own {
		return string(b), err
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), nil
}

// header reads the header at off into h and returns where it ends.
func (w *window) header(h *Header, off int64, region Tag) (int64, error) {
	intro, _, err := w.bytes(off, introSize)
	if err != nil {
		return 0, err
	}
	length, err := headerLength(intro, region)
	if err != nil {
		return 0, err
	}
	blob, err := w.text(off, length)
	if err != nil {
		return 0, err
	}
	return off + length, h.parse(blob, region)
}
