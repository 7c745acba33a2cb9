package create

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// reader reads packages, one at a time.
type reader struct {
	*creation
	whole *rpm.Reader
}

func (c *creation) newReader() (*reader, error) {
	kind := c.checksumType()
	if _, err := rpmmd.NewHash(kind); err != nil {
		return nil, err
	}
	r := &reader{creation: c, whole: rpm.NewReader(nil)}
	if kind != "sha256" {
		r.whole = rpm.NewReader(func() hash.Hash {
			h, _ := rpmmd.NewHash(kind) // tried above
			return h
		})
	}
	return r, nil
}

// read renders a package. Of one that is known only the headers are read, and its
// digest is taken from the index.
func (r *reader) read(ctx context.Context, p *candidate, f *rpmmd.Fragments) (known, error) {
	file, err := r.open(filepath.FromSlash(p.path))
	if err != nil {
		return known{}, err
	}
	defer file.close()
	now, err := file.stat()
	if err != nil {
		return known{}, err
	}
	k := known{location: p.location, stat: now}
	var pkg *rpm.Package
	if old := r.sameAs(p); old != nil && old.stat.size == now.size {
		k.id, k.stat = old.id, old.stat // what was read then, whatever it is now
		pkg, err = rpm.Read(file, now.size)
	} else {
		var id []byte
		pkg, id, err = r.whole.Read(ctx, file, now.size)
		k.id = string(id)
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
