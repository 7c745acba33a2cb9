package compare

import (
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

const (
	maxWindow   = 256 << 20 // bytes that a decompressor may look back; zstd -22 --ultra writes 128 MiB
	maxUnpacked = 64        // files of a pair of packages whose content is looked at
	maxOnDisk   = 4 << 30   // bytes of these in each package
)

// payload compares what is in the two archives. Only files whose content differs
// are unpacked.
func (c *comparison) payload(ctx context.Context, files *fileLists) error {
	if c.a.Header().SameEntry(c.b.Header(), rpm.TagPayloadDigest) && c.a.Header().Has(rpm.TagPayloadDigest) && len(files.content) == 0 {
		return nil
	}
	work, err := os.MkdirTemp(c.scratch, "compare-")
	if err != nil {
		return fmt.Errorf("comparing packages: %w", err)
	}
	defer os.RemoveAll(work)
	first, err := unpack(ctx, c.a, files.content, filepath.Join(work, "a"))
	if err != nil {
		return err
	}
	second, err := unpack(ctx, c.b, files.content, filepath.Join(work, "b"))
	if err != nil {
		return err
	}
	return c.members(first, second, files)
}

// members compares two archives, member by member.
func (c *comparison) members(first, second []member, files *fileLists) error {
	others := map[string]member{}
	for _, m := range second {
		others[m.path] = m
	}
	for _, m := range first {
		o, ok := others[m.path]
		if !ok {
			continue // the headers tell that
		}
		if err := c.member(m, o, files); err != nil {
			return err
		}
	}
	if files.same {
		for i := range min(len(first), len(second)) {
			if first[i].path != second[i].path {
				c.add(Difference{Part: fmt.Sprintf("order in the archive, at the %d.", i+1), A: first[i].path, B: second[i].path})
				break
			}
		}
	}
	return nil
}

// member compares two entries of one path.
func (c *comparison) member(m, o member, files *fileLists) error {
	told := files.told[m.path]
	switch {
	case m.size == 0 && o.size == 0 && m.fields.links > 1:
		// Another name of a file whose content is in the archive under the last one.
	case m.sum != o.sum && !m.regular() && told:
		// Where a link points is in the header too.
	case m.sum != o.sum && (m.unpacked == "" || o.unpacked == ""):
		c.add(Difference{
			File: m.path, Part: "content (not looked into)",
			A: fmt.Sprintf("%d bytes, sha256 %x", m.size, m.sum[:8]), B: fmt.Sprintf("%d bytes, sha256 %x", o.size, o.sum[:8]),
		})
	case m.sum != o.sum:
		return c.content(m.path, m.unpacked, o.unpacked)
	case files.content[m.path]:
		c.add(Difference{File: m.path, Part: "digest in the header differs, though the content is the same"})
	case m.fields != o.fields && files.same && !told:
		a, b := shorten(m.fields.String(), o.fields.String())
		c.add(Difference{File: m.path, Part: "archive member", A: a, B: b})
	}
	return nil
}

// member is one entry of an archive.
type member struct {
	path     string
	size     uint64
	sum      [sha256.Size]byte
	fields   fields
	unpacked string // path of its content; "" when it was not asked for or is too much
}

// regular says whether it is a plain file; an entry that says nothing is one.
func (m member) regular() bool { return m.fields.mode == 0 || m.fields.mode&0o170000 == 0o100000 }

// fields are those of an entry that say something of the file.
type fields struct{ inode, mode, uid, gid, links, mtime, major, minor, rmajor, rminor uint32 }

func (f fields) String() string {
	return fmt.Sprintf("inode %d, mode %06o, owner %d:%d, %d links, time %d, device %d:%d %d:%d",
		f.inode, f.mode, f.uid, f.gid, f.links, f.mtime, f.major, f.minor, f.rmajor, f.rminor)
}

// unpack reads a package's archive. Its members are those that the header lists,
// each at most once, so that what is kept in memory is bounded by the header.
func unpack(ctx context.Context, s side, wanted map[string]bool, dir string) ([]member, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", s.FileName(), err)
	}
	u := unpacker{dir: dir, wanted: wanted, listed: map[string]uint64{}}
	for f := range s.Files() {
		u.listed[f.Path()] = f.Size
		u.order = append(u.order, f.Path())
	}
	body := io.NewSectionReader(s.file, s.HeaderEnd, s.FileSize-s.HeaderEnd)
	plain, err := decompress(s.PayloadCompressor, contextReader{ctx, body})
	if err == nil {
		defer plain.Close()
		err = u.archive(plain)
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", printable(s.FileName()), err)
	}
	return u.members, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// decompress opens a payload. No decompressor may look back further than
// maxWindow: what an xz stream declares for later blocks takes memory only as far
// as it is filled.
func decompress(compressor string, r io.Reader) (io.ReadCloser, error) {
	switch compressor {
	case "", "gzip":
		return gzip.NewReader(r)
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case "bzip2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	case "xz":
		head := make([]byte, 24)
		n, err := io.ReadFull(r, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		// Stream header of 12 bytes, then of the block: its size, flags, the filter's
		// number, the length of its properties, the dictionary's size.
		if n == len(head) && head[13]&0xc0 == 0 && head[14] == 0x21 {
			size, err := lzma.DecodeDictCap(head[16])
			if err != nil || size > maxWindow {
				return nil, fmt.Errorf("its dictionary is larger than %d MiB", maxWindow>>20)
			}
		}
		x, err := xz.NewReader(io.MultiReader(bytes.NewReader(head[:n]), r))
		return io.NopCloser(x), err
	case "lzma":
		head := make([]byte, 13)
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
		if size := uint32(head[1]) | uint32(head[2])<<8 | uint32(head[3])<<16 | uint32(head[4])<<24; size > maxWindow {
			return nil, fmt.Errorf("its dictionary is larger than %d MiB", maxWindow>>20)
		}
		x, err := lzma.NewReader(io.MultiReader(bytes.NewReader(head), r))
		return io.NopCloser(x), err
	}
	return nil, fmt.Errorf("it is compressed by %q, which is not known here", printable(clip(compressor, 20)))
}

// unpacker reads a cpio archive as rpm writes it: the format newc, or one that
// only has the number of the file in the header, for files of 4 GiB and more.
type unpacker struct {
	dir     string
	wanted  map[string]bool
	listed  map[string]uint64 // sizes
	order   []string
	members []member
	onDisk  uint64
	kept    int
}

const (
	trailer = "TRAILER!!!"
	maxPath = 4096
)

func (u *unpacker) archive(r io.Reader) error {
	seen := map[string]bool{}
	for {
		m, err := u.next(r)
		if err != nil {
			return err
		}
		if m.path == trailer {
			return nil
		}
		if _, ok := u.listed[m.path]; !ok {
			return fmt.Errorf("its archive has %q, which its header does not list", printable(clip(m.path, maxValue)))
		}
		if seen[m.path] {
			return fmt.Errorf("its archive has %q twice", printable(clip(m.path, maxValue)))
		}
		seen[m.path] = true
		if err := u.body(r, &m); err != nil {
			return err
		}
		u.members = append(u.members, m)
	}
}

// next reads an entry's header.
func (u *unpacker) next(r io.Reader) (member, error) {
	var m member
	magic := make([]byte, 6)
	if _, err := io.ReadFull(r, magic); err != nil {
		return m, fmt.Errorf("its archive ends early: %w", err)
	}
	switch string(magic) {
	case "070701":
		return u.plain(r)
	case "07070X":
		return u.stripped(r)
	}
	return m, fmt.Errorf("its archive has an entry of an unknown kind (%q)", magic)
}

func (u *unpacker) plain(r io.Reader) (member, error) {
	var m member
	var n [13]uint32
	if err := hexNumbers(r, n[:]); err != nil {
		return m, err
	}
	m.fields = fields{n[0], n[1], n[2], n[3], n[4], n[5], n[7], n[8], n[9], n[10]}
	m.size = uint64(n[6])
	if n[11] == 0 || n[11] > maxPath {
		return m, fmt.Errorf("its archive has a name of %d bytes", n[11])
	}
	name := make([]byte, padded(110+int(n[11]))-110)
	if _, err := io.ReadFull(r, name); err != nil {
		return m, fmt.Errorf("its archive ends early: %w", err)
	}
	path, _, _ := strings.Cut(string(name[:n[11]]), "\x00")
	m.path = u.path(path)
	return m, nil
}

// path is an archive's name as the header has it.
func (u *unpacker) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "./"); ok {
		if _, listed := u.listed["/"+rest]; listed {
			return "/" + rest
		}
	}
	return name
}

func (u *unpacker) stripped(r io.Reader) (member, error) {
	var m member
	var n [1]uint32
	if err := hexNumbers(r, n[:]); err != nil {
		return m, err
	}
	if _, err := io.CopyN(io.Discard, r, 2); err != nil { // 14 bytes, padded
		return m, fmt.Errorf("its archive ends early: %w", err)
	}
	if int(n[0]) >= len(u.order) {
		return m, fmt.Errorf("its archive has a file %d of %d", n[0], len(u.order))
	}
	m.path = u.order[n[0]]
	m.size = u.listed[m.path]
	return m, nil
}

func hexNumbers(r io.Reader, into []uint32) error {
	b := make([]byte, 8*len(into))
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("its archive ends early: %w", err)
	}
	for i := range into {
		for _, digit := range b[8*i : 8*i+8] {
			value := strings.IndexByte("0123456789abcdef", digit|0x20)
			if digit >= '0' && digit <= '9' {
				value = int(digit - '0')
			}
			if value < 0 {
				return errors.New("its archive has an entry whose header is no number")
			}
			into[i] = into[i]<<4 | uint32(value)
		}
	}
	return nil
}

func padded(n int) int { return (n + 3) &^ 3 }

// body reads an entry's content, and keeps it when it was asked for.
func (u *unpacker) body(r io.Reader, m *member) error {
	if m.size > u.listed[m.path] && m.size > maxPath {
		return fmt.Errorf("its archive has %d bytes of %q, its header %d", m.size, printable(clip(m.path, maxValue)), u.listed[m.path])
	}
	h := sha256.New()
	var to io.Writer = h
	if u.wanted[m.path] && u.onDisk+m.size <= maxOnDisk && u.kept < maxUnpacked {
		f, err := os.Create(filepath.Join(u.dir, strconv.Itoa(u.kept)))
		if err != nil {
			return err
		}
		defer f.Close()
		u.onDisk += m.size
		u.kept++
		m.unpacked = f.Name()
		to = io.MultiWriter(h, f)
	}
	if _, err := io.CopyN(to, r, int64(m.size)); err != nil {
		return fmt.Errorf("its archive ends early: %w", err)
	}
	if _, err := io.CopyN(io.Discard, r, int64(-m.size&3)); err != nil {
		return fmt.Errorf("its archive ends early: %w", err)
	}
	h.Sum(m.sum[:0])
	return nil
}
