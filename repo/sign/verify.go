package sign

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Keyring holds the public keys that are trusted.
type Keyring struct {
	entities openpgp.EntityList
}

// What a caller may want to tell apart.
var (
	// ErrUnsigned says that a package has no signature at all.
	ErrUnsigned = errors.New("it is not signed")
	// ErrUnknownKey says that a signature was made by a key that is not in the keyring.
	ErrUnknownKey = errors.New("it is signed by a key that is not trusted")
	// ErrBadSignature says that a signature is not right: something was changed,
	// or it is too weak to say.
	ErrBadSignature = errors.New("its signature is wrong")
)

// Bounds of what others may let us verify: the bytes of a detached signature, and
// how many signatures a package has, each of which is over its whole header.
const (
	maxSignature  = 64 << 10
	maxSignatures = 32
)

// ReadKeyring reads armored public keys, one or more blocks of them.
func ReadKeyring(r io.Reader) (*Keyring, error) {
	entities, err := readArmored(r, openpgp.PublicKeyType)
	if err != nil {
		return nil, fmt.Errorf("reading public keys: %w", err)
	}
	return &Keyring{entities: entities}, nil
}

// Fingerprints name the keys, 40 upper-case hexadecimal digits each, in the
// keyring's order.
func (kr *Keyring) Fingerprints() []string {
	var all []string
	for _, e := range kr.entities {
		all = append(all, fingerprint(e))
	}
	return all
}

// VerifyPackage verifies the digests and all signatures of the size bytes long
// package in r. There must be a signature over the header by a key of the
// keyring, no signature may be wrong or by another key, and the payload must be
// covered by a signature or by a strong digest in the signed header.
func (kr *Keyring) VerifyPackage(ctx context.Context, r io.ReaderAt, size int64) (*rpm.Package, error) {
	p, err := rpm.Read(r, size)
	if err != nil {
		return nil, err
	}
	if err := kr.verify(ctx, p, r); err != nil {
		return nil, fmt.Errorf("package %s: %w", p.NEVRA(), err)
	}
	return p, nil
}

// VerifyPackageFile is VerifyPackage for the package at path.
func (kr *Keyring) VerifyPackageFile(ctx context.Context, path string) (*rpm.Package, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("verifying a package: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("verifying a package: %w", err)
	}
	p, err := kr.VerifyPackage(ctx, f, fi.Size())
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", path, err)
	}
	return p, nil
}

func (kr *Keyring) verify(ctx context.Context, p *rpm.Package, r io.ReaderAt) error {
	signatures := p.Signatures()
	switch n := len(signatures); {
	case n == 0:
		return ErrUnsigned
	case n > maxSignatures:
		return fmt.Errorf("%w: there are %d, at most %d are verified", ErrBadSignature, n, maxSignatures)
	}
	var header bytes.Buffer
	if _, err := p.Header().WriteTo(&header); err != nil {
		return err
	}
	signedHeader, covered := false, strongPayloadDigest(p)
	var also []io.Writer
	var follow []follower
	for _, s := range signatures {
		if s.HeaderOnly {
			if err := kr.check(bytes.NewReader(header.Bytes()), s.Packet); err != nil {
				return err
			}
			signedHeader = true
			continue
		}
		// The content is read once; each signature over it follows through a pipe.
		f := kr.follow(s.Packet)
		defer f.end()
		also, follow = append(also, f), append(follow, f)
		covered = true
	}
	if !signedHeader {
		return fmt.Errorf("%w: its header alone is not signed, as clients demand", ErrBadSignature)
	}
	if !covered {
		return fmt.Errorf("%w: nothing strong covers its payload", ErrBadSignature)
	}
	err := p.VerifyDigests(ctx, r, also...)
	for _, f := range follow {
		f.end()
		if serr := <-f.result; serr != nil && (err == nil || errors.Is(err, serr)) {
			err = serr
		}
	}
	return err
}

// follower verifies a signature of what is written to it. When the signature is
// refused at once, writing fails with the reason.
type follower struct {
	*io.PipeWriter
	result <-chan error
}

// end says that the content is complete. It cannot fail.
func (f follower) end() { _ = f.Close() }

func (kr *Keyring) follow(sig []byte) follower {
	content, w := io.Pipe()
	result := make(chan error, 1)
	go func() {
		err := kr.check(content, sig)
		content.CloseWithError(err)
		result <- err
	}()
	return follower{w, result}
}

// Lasting says whether a package's signatures, if they are right today, stay so as long
// as their key does: a signature may have an end of its own.
func Lasting(p *rpm.Package) bool {
	return !slices.ContainsFunc(p.Signatures(), func(s rpm.Signature) bool {
		made, err := onePacket(s.Packet)
		return err != nil || made.SigLifetimeSecs != nil && *made.SigLifetimeSecs != 0
	})
}

// strongPayloadDigest says whether the header names a digest of the payload
// that nobody can forge.
func strongPayloadDigest(p *rpm.Package) bool {
	digests, err := p.PayloadDigests()
	return err == nil && slices.ContainsFunc(digests, rpm.PayloadDigest.Strong)
}

// VerifyDetached verifies an armored signature of message, which is read to its
// end.
func (kr *Keyring) VerifyDetached(message, signature io.Reader) error {
	block, err := armor.Decode(io.LimitReader(signature, maxSignature))
	if err != nil || block.Type != openpgp.SignatureType {
		return fmt.Errorf("%w: it is no armored OpenPGP signature", ErrBadSignature)
	}
	b, err := io.ReadAll(block.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	return kr.check(message, b)
}

// strong are the digests that nobody can forge.
var strong = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512}

// check verifies one signature packet over signed, which is read to its end
// unless the packet itself is refused.
func (kr *Keyring) check(signed io.Reader, sig []byte) error {
	made, err := onePacket(sig)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	if !slices.Contains(strong, made.Hash) {
		return fmt.Errorf("%w: it is over a digest (%v) that can be forged", ErrBadSignature, made.Hash)
	}
	if made.SigType != packet.SigTypeBinary {
		return fmt.Errorf("%w: it is not over a file's bytes", ErrBadSignature)
	}
	known := kr.entities.KeysById(*made.IssuerKeyId)
	if len(known) == 0 {
		return fmt.Errorf("%w (%016X)", ErrUnknownKey, *made.IssuerKeyId)
	}
	for _, k := range known {
		if err := acceptable(k.PublicKey); err != nil {
			return fmt.Errorf("%w: %w", ErrBadSignature, err)
		}
	}
	s, signer, err := openpgp.VerifyDetachedSignatureAndHash(kr.entities, signed, bytes.NewReader(sig), strong, nil)
	switch {
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return fmt.Errorf("%w: key %s was revoked", ErrKeyInvalid, fingerprint(known[0].Entity))
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return fmt.Errorf("%w: key %s has expired", ErrKeyInvalid, fingerprint(known[0].Entity))
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		return fmt.Errorf("%w: it has expired, or is dated %s, which is not yet", ErrBadSignature, made.CreationTime.UTC().Format(time.DateTime))
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return fmt.Errorf("%w: key %s may not sign", ErrUnknownKey, fingerprint(known[0].Entity))
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBadSignature, err)
	case !s.CreationTime.Before(signer.PrimaryKey.CreationTime):
		return nil
	}
	return fmt.Errorf("%w: it is older than its key", ErrBadSignature)
}

// onePacket reads a signature. There must be one packet: of several, rpm and
// others would look at different ones.
func onePacket(b []byte) (*packet.Signature, error) {
	packets := packet.NewReader(bytes.NewReader(b))
	p, err := packets.Next()
	if err != nil {
		return nil, fmt.Errorf("it is no OpenPGP packet: %w", err)
	}
	s, ok := p.(*packet.Signature)
	switch {
	case !ok:
		return nil, errors.New("it is another OpenPGP packet than a signature")
	case s.Version < 4:
		return nil, fmt.Errorf("it is of version %d, which is out of use", s.Version)
	case s.IssuerKeyId == nil:
		return nil, errors.New("it does not tell its key")
	}
	if _, err := packets.Next(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind it")
	}
	return s, nil
}
