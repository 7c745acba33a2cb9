package write

import (
	"bytes"
	"cmp"
	"crypto/md5"  // what old rpm verifies a payload by, and the id of a source package
	"crypto/sha1" // what old rpm verifies a header by
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Package is what a package says of itself, and what is in it. Texts are UTF-8.
type Package struct {
	Name, Version, Release string
	Epoch                  uint32 // 0: none

	// Arch is the architecture, as rpm names it, that the package is for; of a
	// source package the one that it was written on, or noarch when it says
	// nothing of that.
	Arch   string
	Source bool

	Summary, License string
	Description      string // may have several lines
	Group            string // default: Unspecified
	URL              string // optional, as are the vendor and the packager
	Vendor, Packager string

	// SourceRPM is the file name of the source package that a binary package
	// was built from, SourceID the MD5 in its signature header; that is optional.
	SourceRPM string
	SourceID  []byte

	BuildTime  time.Time // whole seconds, as are all times
	BuildHost  string
	BuildArchs []string // of a source package: what its spec has as BuildArch

	// What the package is to others; of a source package Requires and Conflicts
	// are those of its build. Write adds what rpmbuild adds: that the package
	// provides itself, and which features of rpm it needs.
	Provides, Requires, Conflicts, Obsoletes    []rpm.Dependency
	Recommends, Suggests, Supplements, Enhances []rpm.Dependency

	Changelog []rpm.Change // the newest first
	Files     []File
}

// File is a regular file, a folder or a symbolic link in a package. The zero
// mode is a regular file with 0644, the zero time the package's build time, and
// the owner is root unless it is named.
type File struct {
	Path        string // absolute; in a source package only a name
	Mode        uint16 // type and permissions, as in stat(2)
	Flags       rpm.FileFlags
	ModTime     time.Time
	User, Group string
	LinkTo      string // of a symbolic link
	Data        []byte // of a regular file
}

const (
	modeType    = 0o170000
	modeDir     = 0o040000
	modeRegular = 0o100000
	modeLink    = 0o120000
)

// content is what of the file is in the archive.
func (f File) content() []byte {
	if f.Mode&modeType == modeLink {
		return []byte(f.LinkTo)
	}
	return f.Data
}

// rpmVersion is the rpm whose packages ours are like.
const rpmVersion = "4.18.0"

// sha256Number is how headers call SHA-256.
const sha256Number = 8

// Write writes the package to w. It fails, with nothing written, when rpmbuild
// would not have made such a package.
func Write(w io.Writer, p Package) error {
	p.settle()
	if err := p.check(); err != nil {
		return fmt.Errorf("writing package %s-%s-%s: %w", p.Name, p.Version, p.Release, err)
	}
	b, err := p.bytes()
	if err != nil {
		return fmt.Errorf("writing package %s: %w", p.fileName(), err)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("writing package %s: %w", p.fileName(), err)
	}
	return nil
}

// settle fills in defaults and sorts the files as rpm does.
func (p *Package) settle() {
	p.Group = cmp.Or(p.Group, "Unspecified")
	p.Files = slices.Clone(p.Files)
	for i := range p.Files {
		f := &p.Files[i]
		f.User, f.Group = cmp.Or(f.User, "root"), cmp.Or(f.Group, "root")
		if f.Mode == 0 {
			f.Mode = modeRegular | 0o644
		}
		if f.ModTime.IsZero() {
			f.ModTime = p.BuildTime
		}
	}
	slices.SortStableFunc(p.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// bytes is the file of a package that is in order.
func (p *Package) bytes() ([]byte, error) {
	payload, err := newPayload(p.Files)
	if err != nil {
		return nil, fmt.Errorf("compressing its files: %w", err)
	}
	main, err := p.header(payload)
	if err != nil {
		return nil, err
	}
	both := md5.New()
	both.Write(main)
	both.Write(payload.compressed)
	sha1Sum, sha256Sum := sha1.Sum(main), sha256.Sum256(main)

	var signature header
	signature.text(rpm.SigSHA1, hex.EncodeToString(sha1Sum[:]))
	signature.text(rpm.SigSHA256, hex.EncodeToString(sha256Sum[:]))
	signature.ints(rpm.SigSize, uint32(len(main)+len(payload.compressed)))
	signature.binary(rpm.SigMD5, both.Sum(nil))
	signature.ints(rpm.SigPayloadSize, uint32(len(payload.plain)))

	front := bytes.NewBuffer(p.lead())
	front.Write(signature.bytes(tagSignatures))
	for front.Len()%8 != 0 {
		front.WriteByte(0)
	}
	return slices.Concat(front.Bytes(), main, payload.compressed), nil
}

// lead is what the file begins with. Nothing reads more of it than the magic.
func (p *Package) lead() []byte {
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00")
	if p.Source {
		lead[7] = 1
	}
	lead[9] = architectures[p.Arch].number
	copy(lead[10:10+65], p.Name+"-"+p.evr())
	lead[77] = 1 // Linux
	lead[79] = 5 // signatures are a header
	return lead
}

// header is the main header.
func (p *Package) header(content payload) ([]byte, error) {
	var h header
	h.texts(tagI18NTable, "C")
	h.text(rpm.TagName, p.Name)
	h.text(rpm.TagVersion, p.Version)
	h.text(rpm.TagRelease, p.Release)
	if p.Epoch != 0 {
		h.ints(rpm.TagEpoch, p.Epoch)
	}
	h.translated(rpm.TagSummary, p.Summary)
	h.translated(rpm.TagDescription, p.Description)
	h.ints(rpm.TagBuildTime, uint32(p.BuildTime.Unix()))
	h.text(rpm.TagBuildHost, p.BuildHost)
	h.ints(rpm.TagSize, p.installedSize())
	h.optional(rpm.TagVendor, p.Vendor)
	h.text(rpm.TagLicense, p.License)
	h.optional(rpm.TagPackager, p.Packager)
	h.translated(rpm.TagGroup, p.Group)
	h.optional(rpm.TagURL, p.URL)
	h.text(tagOS, "linux")
	h.text(rpm.TagArch, p.Arch)
	if p.Source {
		h.ints(rpm.TagSourcePackage, 1)
		h.texts(tagBuildArchs, p.BuildArchs...)
	} else {
		h.text(rpm.TagSourceRPM, p.SourceRPM)
		h.binary(tagSourcePackageID, p.SourceID)
	}
	h.text(tagRPMVersion, rpmVersion)
	h.text(tagCookie, p.BuildHost+" "+strconv.FormatInt(p.BuildTime.Unix(), 10))
	h.text(tagEncoding, "utf-8")
	p.addFiles(&h)
	p.addDependencies(&h)
	p.addChangelog(&h)
	h.text(rpm.TagPayloadFormat, "cpio")
	h.text(rpm.TagPayloadCompressor, "gzip")
	h.text(tagPayloadFlags, payloadFlags)
	compressed, plain := sha256.Sum256(content.compressed), sha256.Sum256(content.plain)
	h.texts(rpm.TagPayloadDigest, hex.EncodeToString(compressed[:]))
	h.ints(rpm.TagPayloadDigestAlgo, sha256Number)
	h.texts(tagPayloadDigestAlt, hex.EncodeToString(plain[:]))
	b := h.bytes(tagImmutable)
	if len(b) > maxHeader {
		return nil, fmt.Errorf("its header has %d bytes, allowed are %d", len(b), maxHeader)
	}
	return b, nil
}

func (p *Package) addChangelog(h *header) {
	var times []uint32
	var authors, texts []string
	for _, c := range p.Changelog {
		times, authors, texts = append(times, uint32(c.Time)), append(authors, c.Author), append(texts, c.Text)
	}
	h.ints(rpm.TagChangelogTime, times...)
	h.texts(rpm.TagChangelogName, authors...)
	h.texts(rpm.TagChangelogText, texts...)
}

func (p *Package) installedSize() uint32 {
	size := 0
	for _, f := range p.Files {
		size += len(f.content())
	}
	return uint32(size)
}

// addFiles adds the list of files, as parallel arrays (rpm: files.c,
// genCpioListAndHeader).
func (p *Package) addFiles(h *header) {
	h.ints(rpm.TagFileDigestAlgo, sha256Number) // also where there are none
	var (
		bases, dirs, digests, links, users, groups, langs []string
		dirIndexes, sizes, mtimes, flags, verify          []uint32
		inodes, devices                                   []uint32
		modes, rdevs                                      []uint16
	)
	dirIndex := map[string]uint32{}
	for i, f := range p.Files {
		slash := strings.LastIndexByte(f.Path, '/') + 1
		dir := f.Path[:slash]
		if _, ok := dirIndex[dir]; !ok {
			dirIndex[dir] = uint32(len(dirs))
			dirs = append(dirs, dir)
		}
		digest, checks, device := "", verifyAll, uint32(1)
		switch {
		case f.Flags&rpm.FileGhost != 0:
			checks, device = checks&^verifyContent, 0 // it was not there when rpmbuild looked
		case f.Mode&modeType == modeRegular:
			sum := sha256.Sum256(f.Data)
			digest = hex.EncodeToString(sum[:])
		}
		bases, dirIndexes = append(bases, f.Path[slash:]), append(dirIndexes, dirIndex[dir])
		digests, links, langs = append(digests, digest), append(links, f.LinkTo), append(langs, "")
		users, groups = append(users, f.User), append(groups, f.Group)
		sizes, mtimes = append(sizes, uint32(len(f.content()))), append(mtimes, uint32(f.ModTime.Unix()))
		flags, verify = append(flags, uint32(f.Flags)), append(verify, checks)
		modes, rdevs = append(modes, f.Mode), append(rdevs, 0)
		inodes, devices = append(inodes, uint32(i+1)), append(devices, device)
	}
	h.texts(rpm.TagBaseNames, bases...)
	h.texts(rpm.TagDirNames, dirs...)
	h.ints(rpm.TagDirIndexes, dirIndexes...)
	h.ints(rpm.TagFileSizes, sizes...)
	h.shorts(rpm.TagFileModes, modes...)
	h.shorts(tagFileRDevs, rdevs...)
	h.ints(rpm.TagFileMTimes, mtimes...)
	h.texts(rpm.TagFileDigests, digests...)
	h.texts(rpm.TagFileLinkTos, links...)
	h.ints(rpm.TagFileFlags, flags...)
	h.texts(rpm.TagFileUserName, users...)
	h.texts(rpm.TagFileGroupName, groups...)
	h.ints(tagFileVerifyFlags, verify...)
	h.ints(tagFileDevices, devices...)
	h.ints(tagFileINodes, inodes...)
	h.texts(tagFileLangs, langs...)
}

// What rpm -V compares: everything, but of a file that the package only owns
// neither digest, size, target nor time.
const (
	verifyAll     uint32 = 1<<32 - 1
	verifyContent uint32 = 1<<0 | 1<<1 | 1<<2 | 1<<5
)

// evr is [epoch:]version-release.
func (p *Package) evr() string {
	e := rpm.EVR{Version: p.Version, Release: p.Release}
	if p.Epoch != 0 {
		e.Epoch = strconv.FormatUint(uint64(p.Epoch), 10)
	}
	return e.String()
}

// fileName is what rpm calls the package's file.
func (p *Package) fileName() string {
	arch := p.Arch
	if p.Source {
		arch = "src"
	}
	return p.Name + "-" + p.Version + "-" + p.Release + "." + arch + ".rpm"
}
