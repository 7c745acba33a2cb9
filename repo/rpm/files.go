package rpm

import (
	"crypto"
	"fmt"
	"iter"
	"strings"
	"time"
)

// File is one entry of a package's file list.
type File struct {
	Dir, Base   string // Dir ends with a slash; it is empty in source packages
	Mode        uint16 // type and permissions, as in stat(2)
	Flags       FileFlags
	Size        uint64
	ModTime     time.Time
	Digest      string // hexadecimal, empty for what is no regular file
	LinkTo      string // where a symbolic link points
	User, Group string
}

// FileFlags say what a file is to the package (rpm: rpmfiles.h).
type FileFlags uint32

// The flags that the project reads.
const (
	FileConfig    FileFlags = 1 << 0
	FileDoc       FileFlags = 1 << 1
	FileMissingOK FileFlags = 1 << 3
	FileNoReplace FileFlags = 1 << 4
	FileSpec      FileFlags = 1 << 5
	FileGhost     FileFlags = 1 << 6
	FileLicense   FileFlags = 1 << 7
	FileReadme    FileFlags = 1 << 8
	FilePubkey    FileFlags = 1 << 11
	FileArtifact  FileFlags = 1 << 12
)

const (
	modeType = 0o170000
	modeDir  = 0o040000
	modeLink = 0o120000
)

// Path is the file's whole path.
func (f File) Path() string { return f.Dir + f.Base }

// IsDir says whether the file is a folder.
func (f File) IsDir() bool { return f.Mode&modeType == modeDir }

// IsLink says whether the file is a symbolic link.
func (f File) IsLink() bool { return f.Mode&modeType == modeLink }

// IsGhost says whether the package owns the file without containing it.
func (f File) IsGhost() bool { return f.Flags&FileGhost != 0 }

// FileDigestAlgorithm is what the files' digests were made with, 0 when it is
// none that the project knows.
func (p *Package) FileDigestAlgorithm() crypto.Hash {
	if n := p.header.Ints(TagFileDigestAlgo); n.Len() > 0 {
		return hashByNumber(n.At(0))
	}
	return crypto.MD5 // packages older than the tag
}

// FileCount is the number of files in the package.
func (p *Package) FileCount() int {
	if p.header.Has(TagBaseNames) {
		return p.header.Count(TagBaseNames)
	}
	return p.header.Count(TagOldFileNames)
}

// Files iterates over the package's files in the header's order.
func (p *Package) Files() iter.Seq[File] { return p.files(true) }

// FileNames is Files with nothing but the files' names, modes and flags, in half
// of the time.
func (p *Package) FileNames() iter.Seq[File] { return p.files(false) }

func (p *Package) files(all bool) iter.Seq[File] {
	return func(yield func(File) bool) {
		h := p.header
		names, split := h.cursor(TagOldFileNames), true
		if h.Has(TagBaseNames) {
			names, split = h.cursor(TagBaseNames), false
		}
		dirs, dirIndex := newTable(h, TagDirNames), h.Ints(TagDirIndexes)
		modes, flags := h.Ints(TagFileModes), h.Ints(TagFileFlags)
		var more fileDetails
		if all {
			more = newFileDetails(h)
		}
		for i := 0; ; i++ {
			name, ok := names.next()
			if !ok {
				return
			}
			f := File{Base: name, Mode: uint16(modes.At(i)), Flags: FileFlags(flags.At(i))}
			if split {
				slash := strings.LastIndexByte(name, '/') + 1
				f.Dir, f.Base = name[:slash], name[slash:]
			} else {
				f.Dir = dirs.at(dirIndex.At(i))
			}
			if all {
				more.next(&f, i)
			}
			if !yield(f) {
				return
			}
		}
	}
}

// fileDetails are the lists of all that is known of files but their names.
type fileDetails struct {
	times, sizes                  Ints
	digests, links, users, groups cursor
}

func newFileDetails(h *Header) fileDetails {
	d := fileDetails{
		times: h.Ints(TagFileMTimes), sizes: h.Ints(TagLongFileSizes),
		digests: h.cursor(TagFileDigests), links: h.cursor(TagFileLinkTos),
		users: h.cursor(TagFileUserName), groups: h.cursor(TagFileGroupName),
	}
	if d.sizes.Len() == 0 {
		d.sizes = h.Ints(TagFileSizes)
	}
	return d
}

// next fills in those of the file at i: of each, in order.
func (d *fileDetails) next(f *File, i int) {
	f.Size, f.ModTime = d.sizes.At(i), time.Unix(int64(d.times.At(i)), 0).UTC()
	f.Digest, _ = d.digests.next()
	f.LinkTo, _ = d.links.next()
	f.User, _ = d.users.next()
	f.Group, _ = d.groups.next()
}

// table finds the strings of an array by their number.
type table struct {
	data   string
	starts []uint32
}

// newTable takes four bytes for each string, which is no more than the
// directory indexes take in the file: checkLists sees to that.
func newTable(h *Header, tag Tag) table {
	c := h.cursor(tag)
	t := table{data: c.data, starts: make([]uint32, 0, c.left)}
	for {
		start := len(t.data) - len(c.data)
		if _, ok := c.next(); !ok {
			return t
		}
		t.starts = append(t.starts, uint32(start))
	}
}

func (t table) at(i uint64) string {
	if i >= uint64(len(t.starts)) {
		return ""
	}
	s := t.data[t.starts[i]:]
	return s[:strings.IndexByte(s, 0)]
}

// checkLists verifies that the parallel arrays of the main header are of one
// length, which lets the iterators go on without errors.
func (p *Package) checkLists() error {
	h := p.header
	same := func(first Tag, others ...Tag) error {
		n := h.Count(first)
		for _, t := range others {
			if h.Has(t) && h.Count(t) != n {
				return fmt.Errorf("tag %d has %d elements, tag %d has %d", first, n, t, h.Count(t))
			}
		}
		return nil
	}
	for _, t := range []dependencyTags{
		provideTags, requireTags, conflictTags, obsoleteTags,
		recommendTags, suggestTags, supplementTags, enhanceTags,
	} {
		if err := same(t.name, t.flags, t.version); err != nil {
			return err
		}
	}
	if err := same(TagChangelogTime, TagChangelogName, TagChangelogText); err != nil {
		return err
	}
	names := TagOldFileNames
	if h.Has(TagBaseNames) {
		names = TagBaseNames
		indexes, dirs := h.Ints(TagDirIndexes), h.Count(TagDirNames)
		if indexes.Len() != h.Count(TagBaseNames) || dirs > indexes.Len() {
			return fmt.Errorf("%d files have %d directory indexes into %d directories", h.Count(names), indexes.Len(), dirs)
		}
		for i := range indexes.Len() {
			if indexes.At(i) >= uint64(dirs) {
				return fmt.Errorf("file %d lies in directory %d of %d", i, indexes.At(i), dirs)
			}
		}
	} else if h.Count(TagDirNames) > 0 {
		return fmt.Errorf("%d directories without files", h.Count(TagDirNames))
	}
	return same(names, TagFileModes, TagFileFlags, TagFileMTimes, TagFileSizes, TagLongFileSizes,
		TagFileDigests, TagFileLinkTos, TagFileUserName, TagFileGroupName)
}
