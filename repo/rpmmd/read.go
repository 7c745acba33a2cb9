package rpmmd

import (
	"crypto"
	_ "crypto/sha1"   // old repositories
	_ "crypto/sha256" // today's
	_ "crypto/sha512"
	"encoding/hex"
	stdxml "encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/payload"
)

const (
	// maxOpen bounds a data file uncompressed, in bytes; those of the largest
	// distributions stay below one gigabyte.
	maxOpen = 4 << 30
	// maxElement bounds what one package may take in a data file.
	maxElement = 32 << 20
	// maxWindow bounds what a decompressor may keep in memory.
	maxWindow = 128 << 20
)

// MismatchError says that a file is not the one that the metadata describe.
type MismatchError struct {
	File      string
	What      string // size or digest
	Want, Got string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s: its %s is %s, the metadata say %s", e.File, e.What, e.Got, e.Want)
}

// OpenData returns the uncompressed content of a data file of the repository in
// dir. While it is read, sizes and digests of the compressed and of the
// uncompressed content are compared with d; the last Read returns a
// *MismatchError instead of io.EOF when one differs. Whoever stops before the
// end has verified nothing.
func OpenData(dir string, d Data) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(d.Location)))
	if err != nil {
		return nil, fmt.Errorf("reading metadata: %w", err)
	}
	return NewDataReader(f, f.Name(), d)
}

// NewDataReader is OpenData for a data file that is open already, such as a
// download. It closes file in the end, and at once when it fails; name is for
// errors.
func NewDataReader(file io.ReadCloser, name string, d Data) (io.ReadCloser, error) {
	shutHash, err := newHash(d.Checksum)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &dataReader{name: name, file: file, shut: &counted{r: io.LimitReader(file, d.Size+1), hash: shutHash}, data: d}
	if err := r.decompress(); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return r, nil
}

type dataReader struct {
	name       string
	file       io.ReadCloser
	shut, open *counted
	data       Data
	close      func()
}

func (r *dataReader) decompress() error {
	var in io.Reader = r.shut
	limit := r.data.OpenSize
	var err error
	switch name := r.data.Location; {
	case strings.HasSuffix(name, ".gz"):
		in, err = gzip.NewReader(in)
	case strings.HasSuffix(name, ".zst"):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			in, r.close = z, z.Close
		}
	case strings.HasSuffix(name, ".xz"):
		in, err = r.other("xz", in)
	case strings.HasSuffix(name, ".bz2"):
		in, err = r.other("bzip2", in)
	case strings.HasSuffix(name, ".xml"):
		limit = r.data.Size
	default:
		err = errors.New("unknown compression; gz, zst, xz and bz2 can be read")
	}
	if err != nil {
		return err
	}
	if limit == 0 || limit > maxOpen {
		limit = maxOpen
	}
	r.open = &counted{r: io.LimitReader(in, limit+1)}
	if r.data.OpenChecksum.Value != "" {
		r.open.hash, err = newHash(r.data.OpenChecksum)
	}
	return err
}

// other opens what only other programs write.
func (r *dataReader) other(compressor string, in io.Reader) (io.Reader, error) {
	d, err := payload.Decompress(compressor, in)
	if err == nil {
		r.close = func() { _ = d.Close() }
	}
	return d, err
}

func (r *dataReader) Read(b []byte) (int, error) {
	n, err := r.open.Read(b)
	if r.data.OpenSize > 0 && r.open.n > r.data.OpenSize || r.open.n > maxOpen {
		return n, r.mismatch("uncompressed size", strconv.FormatInt(r.data.OpenSize, 10), "larger")
	}
	if errors.Is(err, io.EOF) {
		return n, r.verify()
	}
	if err != nil {
		err = fmt.Errorf("reading %s: %w", r.name, err)
	}
	return n, err
}

// verify returns io.EOF when all is as it should be.
func (r *dataReader) verify() error {
	if _, err := io.Copy(io.Discard, r.shut); err != nil { // what follows the compressed data
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	switch d := r.data; {
	case r.shut.n != d.Size:
		return r.mismatch("size", strconv.FormatInt(d.Size, 10), strconv.FormatInt(r.shut.n, 10))
	case r.shut.sum() != d.Checksum.Value:
		return r.mismatch(d.Checksum.Type+" digest", d.Checksum.Value, r.shut.sum())
	case d.OpenSize > 0 && r.open.n != d.OpenSize:
		return r.mismatch("uncompressed size", strconv.FormatInt(d.OpenSize, 10), strconv.FormatInt(r.open.n, 10))
	case r.open.hash != nil && r.open.sum() != d.OpenChecksum.Value:
		return r.mismatch(d.OpenChecksum.Type+" digest uncompressed", d.OpenChecksum.Value, r.open.sum())
	}
	return io.EOF
}

func (r *dataReader) mismatch(what, want, got string) error {
	return &MismatchError{File: r.name, What: what, Want: want, Got: got}
}

func (r *dataReader) Close() error {
	if r.close != nil {
		r.close()
	}
	return r.file.Close()
}

// counted hashes and counts what is read through it.
type counted struct {
	r    io.Reader
	hash hash.Hash
	n    int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if c.hash != nil {
		c.hash.Write(b[:n])
	}
	return n, err
}

func (c *counted) sum() string { return hex.EncodeToString(c.hash.Sum(nil)) }

// NewHash is the hash of a kind of digest, as repomd.xml names it.
func NewHash(kind string) (hash.Hash, error) { return newHash(Checksum{Type: kind}) }

func newHash(c Checksum) (hash.Hash, error) {
	switch c.Type {
	case "sha256":
		return crypto.SHA256.New(), nil
	case "sha512":
		return crypto.SHA512.New(), nil
	case "sha384":
		return crypto.SHA384.New(), nil
	case "sha224":
		return crypto.SHA224.New(), nil
	case "sha", "sha1":
		return crypto.SHA1.New(), nil
	default:
		return nil, fmt.Errorf("unknown kind of digest %q", c.Type)
	}
}

// Record is what primary says of one package, as far as finding and verifying
// it needs.
type Record struct {
	Name, Arch  string
	EVR         rpm.EVR
	Checksum    Checksum // of the file; the package's identity
	Location    string   // href, not checked
	Base        string   // xml:base, where the location is not relative to the repository
	Size        int64    // bytes of the file
	HeaderStart int64
	HeaderEnd   int64
	FileTime    int64 // seconds since 1970
	BuildTime   int64
}

// ReadPrimary calls fn for each package of a primary data file, in its order,
// and returns how many packages the file announces.
func ReadPrimary(r io.Reader, fn func(Record) error) (announced int, err error) {
	type version struct {
		Epoch string `xml:"epoch,attr"`
		Ver   string `xml:"ver,attr"`
		Rel   string `xml:"rel,attr"`
	}
	return eachPackage(r, "metadata", func(d *stdxml.Decoder, start *stdxml.StartElement) error {
		var p struct {
			Name     string  `xml:"name"`
			Arch     string  `xml:"arch"`
			Version  version `xml:"version"`
			Checksum struct {
				Type  string `xml:"type,attr"`
				Value string `xml:",chardata"`
			} `xml:"checksum"`
			Time struct {
				File  int64 `xml:"file,attr"`
				Build int64 `xml:"build,attr"`
			} `xml:"time"`
			Size struct {
				Package int64 `xml:"package,attr"`
			} `xml:"size"`
			Location struct {
				Href string `xml:"href,attr"`
				Base string `xml:"base,attr"`
			} `xml:"location"`
			Format struct {
				Range struct {
					Start int64 `xml:"start,attr"`
					End   int64 `xml:"end,attr"`
				} `xml:"header-range"`
			} `xml:"format"`
		}
		if err := d.DecodeElement(&p, start); err != nil {
			return err
		}
		return fn(Record{
			Name: p.Name, Arch: p.Arch,
			EVR:      rpm.EVR{Epoch: p.Version.Epoch, Version: p.Version.Ver, Release: p.Version.Rel},
			Checksum: Checksum{p.Checksum.Type, strings.TrimSpace(p.Checksum.Value)},
			Location: p.Location.Href, Base: p.Location.Base, Size: p.Size.Package,
			HeaderStart: p.Format.Range.Start, HeaderEnd: p.Format.Range.End,
			FileTime: p.Time.File, BuildTime: p.Time.Build,
		})
	})
}

// ReadIDs calls fn with the digest of each package of a filelists or other data
// file, in its order.
func ReadIDs(r io.Reader, kind string, fn func(pkgid string) error) (announced int, err error) {
	root := kind
	if kind == "other" {
		root = "otherdata"
	}
	return eachPackage(r, root, func(d *stdxml.Decoder, start *stdxml.StartElement) error {
		for _, a := range start.Attr {
			if a.Name.Local == "pkgid" {
				if err := fn(a.Value); err != nil {
					return err
				}
			}
		}
		return d.Skip()
	})
}

// eachPackage walks the package elements below a root element. It reads r to
// its end, so that a verifying reader has verified.
func eachPackage(r io.Reader, root string, fn func(*stdxml.Decoder, *stdxml.StartElement) error) (int, error) {
	limited := &limitedReader{r: r}
	d := stdxml.NewDecoder(limited)
	announced, depth := 0, 0
	for {
		limited.left = maxElement
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return announced, err
		}
		switch t := token.(type) {
		case stdxml.StartElement:
			switch {
			case depth == 0 && t.Name.Local == root:
				depth++
				for _, a := range t.Attr {
					if a.Name.Local == "packages" {
						if _, err := fmt.Sscan(a.Value, &announced); err != nil {
							return 0, fmt.Errorf("the number of packages is %q", a.Value)
						}
					}
				}
			case depth == 1 && t.Name.Local == "package":
				if err := fn(d, &t); err != nil {
					return announced, err
				}
			case depth == 0:
				return 0, fmt.Errorf("it begins with <%s>, expected <%s>", t.Name.Local, root)
			default:
				if err := d.Skip(); err != nil {
					return announced, err
				}
			}
		case stdxml.EndElement:
			depth--
		}
	}
	_, err := io.Copy(io.Discard, r)
	return announced, err
}

// limitedReader fails when more is read than left allows.
type limitedReader struct {
	r    io.Reader
	left int
}

func (l *limitedReader) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if l.left -= n; l.left < 0 {
		return n, fmt.Errorf("one element has more than %d bytes", maxElement)
	}
	return n, err
}
