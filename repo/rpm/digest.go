package rpm

import (
	"bytes"
	"context"
	"crypto"
	_ "crypto/md5" // what old packages carry; their signatures and sizes are checked beside it
	_ "crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

// DigestError says that a package's bytes are not what its headers promise.
type DigestError struct {
	What      string // which promise
	Want, Got string // hexadecimal
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s is %s, its headers promise %s", e.What, e.Got, e.Want)
}

// ErrNoDigest says that nothing in a package's headers covers its payload.
var ErrNoDigest = errors.New("no digest covers the payload")

// ContentDigest is "sha256:" and the digest of the package but for its lead and
// its signature header: of what stays the same when it is signed, signed again,
// or its signatures are removed. r is the file that the package was read from.
func (p *Package) ContentDigest(ctx context.Context, r io.ReaderAt) (string, error) {
	h := sha256.New()
	if err := p.CopyContent(ctx, r, h); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// machineTags say where, when and from which file a package was built, and nothing
// of what is in it.
var machineTags = []Tag{TagBuildTime, TagBuildHost, tagCookie, tagOptFlags, tagPlatform, tagSourcePkgID}

// PortableDigest is "sha256:" and the digest of all that a package is wherever it
// was built: of its main header without what only tells of the machine, and of its
// payload. It says whether a noarch package of two architectures is one. r is the
// file that the package was read from.
func (p *Package) PortableDigest(ctx context.Context, r io.ReaderAt) (string, error) {
	h := sha256.New()
	for _, e := range p.header.index {
		if slices.Contains(machineTags, e.tag) {
			continue
		}
		length, err := p.header.check(e)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%d %d %d %d %s", e.tag, e.kind, e.count, length, p.header.from(e)[:length])
	}
	if err := p.copyContent(ctx, r, nil, []io.Writer{h}); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// CopyContent writes what the content digest covers to w: the main header, as
// it was parsed, and the payload from r.
func (p *Package) CopyContent(ctx context.Context, r io.ReaderAt, w io.Writer) error {
	return p.copyContent(ctx, r, []io.Writer{w}, nil)
}

// VerifyDigests compares the file's bytes with every digest and size that the
// headers hold for them. It fails with a *DigestError, and with ErrNoDigest
// when the payload is covered by none. What digests and signatures cover, the
// main header and the payload, is written to also in the same pass.
func (p *Package) VerifyDigests(ctx context.Context, r io.ReaderAt, also ...io.Writer) error {
	return p.verifyDigests(ctx, r, true, also)
}

// VerifyContent is VerifyDigests without the weak digests, SHA-1 and MD5, of what a
// strong one covers: what the package is made of is right, though old clients may
// still find a wrong digest in its signature header.
func (p *Package) VerifyContent(ctx context.Context, r io.ReaderAt, also ...io.Writer) error {
	return p.verifyDigests(ctx, r, false, also)
}

func (p *Package) verifyDigests(ctx context.Context, r io.ReaderAt, weak bool, also []io.Writer) error {
	if err := p.verifyHeader(weak, nil); err != nil {
		return err
	}
	digests, err := p.PayloadDigests()
	if err != nil {
		return err
	}
	all, payload := also, []io.Writer(nil)
	var checks []func() error
	covered := false

	strong := p.hasStrongHeaderDigest() && slices.ContainsFunc(digests, PayloadDigest.Strong)
	if want := p.signature.Binary(SigMD5); want != nil && p.has(SigMD5) && (weak || !strong) {
		h := crypto.MD5.New()
		all = append(all, h)
		checks = append(checks, compare("the MD5 of header and payload", h, want))
		covered = true
	}
	for _, d := range digests {
		h := d.Algorithm.New()
		payload = append(payload, h)
		checks = append(checks, compare("the payload digest ("+d.Algorithm.String()+")", h, d.Value, d.Alt))
		covered = true
	}
	if !covered {
		return ErrNoDigest
	}
	if err := p.copyContent(ctx, r, all, payload); err != nil {
		return err
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// PayloadDigest is what the main header promises of the payload alone, as it is
// in the file; 0 when it promises nothing, as in packages of rpm before 4.14.
func (p *Package) PayloadDigest() (crypto.Hash, []byte, error) {
	if !p.header.Has(TagPayloadDigest) {
		return 0, nil, nil
	}
	algorithm := hashByNumber(p.header.Ints(TagPayloadDigestAlgo).At(0))
	want, err := hex.DecodeString(p.header.Text(TagPayloadDigest))
	if algorithm == 0 || err != nil || len(want) != algorithm.Size() {
		return 0, nil, errors.New("its payload digest is malformed or of an unknown kind")
	}
	return algorithm, want, nil
}

// HeaderDigest is the digest of the main header's bytes.
func (p *Package) HeaderDigest(algorithm crypto.Hash) []byte {
	h := algorithm.New()
	_, _ = p.header.WriteTo(h) // a hash never fails
	return h.Sum(nil)
}

func (p *Package) hasStrongHeaderDigest() bool {
	return p.signature.Has(SigSHA3) || p.signature.Has(SigSHA256)
}

// verifyHeader compares the main header and the file's size with the digests and
// sizes that the signature header holds for them, the part of VerifyContent for
// which nothing has to be read. It takes the main header's SHA-256 as computed, unless
// that is nil, and fails with a *DigestError.
func (p *Package) verifyHeader(weak bool, computed []byte) error {
	content := uint64(p.FileSize - p.HeaderStart)
	for _, tag := range []Tag{SigLongSize, SigSize} {
		if n := p.signature.Ints(tag); n.Len() > 0 && p.has(tag) && n.At(0) != content {
			return &DigestError{What: "the size of header and payload", Want: strconv.FormatUint(n.At(0), 10), Got: strconv.FormatUint(content, 10)}
		}
	}
	payload, alt := uint64(p.FileSize-p.HeaderEnd), p.header.Ints(TagPayloadSizeAlt)
	if n := p.header.Ints(TagPayloadSize); n.Len() > 0 && n.At(0) != payload && (alt.Len() == 0 || alt.At(0) != payload) {
		return &DigestError{What: "the size of the payload", Want: strconv.FormatUint(n.At(0), 10), Got: strconv.FormatUint(payload, 10)}
	}
	for _, d := range []struct {
		tag       Tag
		algorithm crypto.Hash
	}{{SigSHA3, crypto.SHA3_256}, {SigSHA256, crypto.SHA256}, {SigSHA1, crypto.SHA1}} {
		if !p.signature.Has(d.tag) || d.algorithm == crypto.SHA1 && !weak && p.hasStrongHeaderDigest() {
			continue
		}
		got := computed
		if got == nil || d.algorithm != crypto.SHA256 {
			got = p.HeaderDigest(d.algorithm)
		}
		if want, got := strings.ToLower(p.signature.Text(d.tag)), hex.EncodeToString(got); got != want {
			return &DigestError{What: "the " + d.algorithm.String() + " of the header", Want: strings.Clone(want), Got: got}
		}
	}
	return nil
}

// PayloadDigest is what the main header says the payload's digest is.
type PayloadDigest struct {
	Tag       Tag
	Algorithm crypto.Hash
	Value     []byte // of the payload as the package was written with it
	Alt       []byte // of the payload uncompressed; nil when not given
}

// Strong says that nobody can make another payload with the same digest.
func (d PayloadDigest) Strong() bool { return d.Algorithm != crypto.MD5 && d.Algorithm != crypto.SHA1 }

// payloadDigestTags are where payload digests may be. The first names its
// algorithm in format 4 and is SHA-256 where it does not (rpm: format_v6.md,
// rpmvs.cc).
var payloadDigestTags = []struct {
	tag, alt  Tag
	algorithm crypto.Hash
}{
	{TagPayloadDigest, TagPayloadDigestAlt, crypto.SHA256},
	{TagPayloadSHA512, TagPayloadSHA512Alt, crypto.SHA512},
	{TagPayloadSHA3, TagPayloadSHA3Alt, crypto.SHA3_256},
}

// PayloadDigests are the digests that the main header promises of the payload.
// They are as trustworthy as the header is: a signature over the header covers
// the payload through the strong ones among them. The payload must match the
// value or its alternative in each.
func (p *Package) PayloadDigests() ([]PayloadDigest, error) {
	var all []PayloadDigest
	for _, t := range payloadDigestTags {
		if !p.header.Has(t.tag) {
			continue
		}
		d := PayloadDigest{Tag: t.tag, Algorithm: t.algorithm}
		if t.tag == TagPayloadDigest && p.header.Has(TagPayloadDigestAlgo) {
			d.Algorithm = hashByNumber(p.header.Ints(TagPayloadDigestAlgo).At(0))
		}
		var ok, altOK bool
		d.Value, ok = hexDigest(p.header.Text(t.tag), d.Algorithm)
		d.Alt, altOK = hexDigest(p.header.Text(t.alt), d.Algorithm)
		if !ok || !altOK && p.header.Has(t.alt) {
			return nil, fmt.Errorf("its payload digest (tag %d) is malformed or of an unknown kind", t.tag)
		}
		all = append(all, d)
	}
	return all, nil
}

func hexDigest(s string, algorithm crypto.Hash) ([]byte, bool) {
	b, err := hex.DecodeString(s)
	if algorithm == 0 || err != nil || len(b) != algorithm.Size() {
		return nil, false
	}
	return b, true
}

// compare compares with a digest, or with another that is as good.
func compare(what string, h hash.Hash, want []byte, or ...[]byte) func() error {
	return func() error {
		got := h.Sum(nil)
		if slices.ContainsFunc(or, func(b []byte) bool { return bytes.Equal(got, b) }) {
			return nil
		}
		if !bytes.Equal(got, want) {
			return &DigestError{What: what, Want: hex.EncodeToString(want), Got: hex.EncodeToString(got)}
		}
		return nil
	}
}

// copyContent writes the main header, as it was parsed, and the payload to all,
// and the payload to payload.
func (p *Package) copyContent(ctx context.Context, r io.ReaderAt, all, payload []io.Writer) error {
	for _, w := range all {
		if _, err := w.Write(p.header.bytes()); err != nil {
			return fmt.Errorf("copying the header: %w", err)
		}
	}
	n := p.FileSize - p.HeaderEnd
	body := contextReader{ctx, io.NewSectionReader(r, p.HeaderEnd, n)}
	to := io.MultiWriter(append(append([]io.Writer(nil), all...), payload...)...)
	copied, err := io.CopyBuffer(onlyWriter{to}, body, make([]byte, min(max(n, 1), copyBuffer)))
	if err == nil && copied != n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("reading the payload: %w", err)
	}
	return nil
}

const copyBuffer = 256 << 10

// onlyWriter keeps io.CopyBuffer from asking for more than a Writer.
type onlyWriter struct{ io.Writer }

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// hashByNumber is OpenPGP's numbering (RFC 9580, section 9.5), which headers
// use too.
func hashByNumber(n uint64) crypto.Hash {
	switch n {
	case 1:
		return crypto.MD5
	case 2:
		return crypto.SHA1
	case 8:
		return crypto.SHA256
	case 9:
		return crypto.SHA384
	case 10:
		return crypto.SHA512
	case 11:
		return crypto.SHA224
	case 12:
		return crypto.SHA3_256
	case 14:
		return crypto.SHA3_512
	default:
		return 0
	}
}
