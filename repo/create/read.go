package create

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// reader reads packages, one at a time.
type reader struct {
	*creation
	buf []byte
	sum hash.Hash // of whole files
}

// readBuffer holds most packages' headers and all of a small package.
const readBuffer = 128 << 10

func (c *creation) newReader() (*reader, error) {
	h, err := rpmmd.NewHash(c.checksumType())
	return &reader{creation: c, buf: make([]byte, readBuffer), sum: h}, err
}

// read renders a package. Of one that is known only the headers are read, and its
// digest is taken from the index.
func (r *reader) read(ctx context.Context, p *candidate, f *rpmmd.Fragments) (known, error) {
	file, err := r.open(filepath.FromSlash(p.path))
	if err != nil {
		return known{}, err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return known{}, err
	}
	if !fi.Mode().IsRegular() {
		return known{}, errors.New("it is not a regular file")
	}
	now := statOf(fi)
	k := known{location: p.location, stat: now}
	var pkg *rpm.Package
	if old := r.sameAs(p); old != nil && old.stat.size == now.size {
		k.id, k.stat = old.id, old.stat // what was read then, whatever it is now
		pkg, err = rpm.Read(file, now.size)
	} else {
		pkg, k.id, err = r.whole(ctx, file, now.size)
	}
	if err != nil {
		return known{}, err
	}
	if r.RequireSignatures && !pkg.Signed {
		return known{}, errUnsigned
	}
	k.signed = pkg.Signed
	k.built = pkg.BuildTime
	name := sha256.Sum256([]byte(pkg.NEVRA()))
	k.nevra = [16]byte(name[:])
	entry := rpmmd.Entry{
		Package: pkg, Location: p.location, Base: r.Place.Base,
		Checksum: rpmmd.Checksum{Type: r.checksumType(), Value: hex.EncodeToString([]byte(k.id))},
	}
	return k, f.Append(entry, r.Metadata.Changes)
}

var errUnsigned = errors.New("it is not signed, and signatures are required")

// open opens a file in the folder of packages, as os.Root does. Where the kernel
// sees to it that the path does not lead out (Linux 5.6, openat2(2)), that is one
// call in place of six, which counts with small packages.
func (c *creation) open(path string) (*os.File, error) {
	fd, err := unix.Openat2(int(c.dir.Fd()), path, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil { // it knows why, or how to
		return c.root.Open(path)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// whole reads a package to its end, once, and verifies its digests.
func (r *reader) whole(ctx context.Context, file *os.File, size int64) (*rpm.Package, string, error) {
	start := r.buf[:min(size, int64(len(r.buf)))]
	if _, err := io.ReadFull(file, start); err != nil {
		return nil, "", fmt.Errorf("reading it: %w", err)
	}
	pkg, err := rpm.ReadBegun(start, file, size)
	if err != nil {
		return nil, "", err
	}
	if err := pkg.VerifyHeader(); err != nil {
		return nil, "", err
	}
	algorithm, want, err := pkg.PayloadDigest()
	if err != nil {
		return nil, "", err
	}
	var payload hash.Hash
	if algorithm != 0 {
		payload = algorithm.New()
	} else if err := pkg.VerifyDigests(ctx, file); err != nil && !errors.Is(err, rpm.ErrNoDigest) {
		return nil, "", err
	}
	r.sum.Reset()
	for at, b := int64(0), start; ; {
		r.sum.Write(b)
		if payload != nil && at+int64(len(b)) > pkg.HeaderEnd {
			payload.Write(b[max(pkg.HeaderEnd-at, 0):])
		}
		if at += int64(len(b)); at >= size {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		n, err := file.Read(r.buf[:min(size-at, int64(len(r.buf)))])
		if b = r.buf[:n]; err != nil {
			return nil, "", fmt.Errorf("reading it: %w", err)
		}
	}
	if payload != nil {
		if got := payload.Sum(nil); !bytes.Equal(got, want) {
			return nil, "", &rpm.DigestError{What: "the payload digest", Want: hex.EncodeToString(want), Got: hex.EncodeToString(got)}
		}
	}
	return pkg, string(r.sum.Sum(nil)), nil
}
