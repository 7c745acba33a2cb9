package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// SignPackage reads the size bytes long package in r, verifies its digests and
// writes it signed to w. Signatures that it has are replaced. The signatures
// carry SigningTime(at).
func (k *Key) SignPackage(ctx context.Context, r io.ReaderAt, size int64, w io.Writer, at time.Time) error {
	p, err := rpm.Read(r, size)
	if err != nil {
		return fmt.Errorf("signing a package: %w", err)
	}
	if err := k.signPackage(ctx, p, r, w, at); err != nil {
		return fmt.Errorf("signing package %s: %w", p.NEVRA(), err)
	}
	return nil
}

func (k *Key) signPackage(ctx context.Context, p *rpm.Package, r io.ReaderAt, w io.Writer, at time.Time) error {
	headerTag, bothTag := k.tags()
	header, headerHash, err := k.begin(at)
	if err != nil {
		return err
	}
	both, bothHash, err := k.begin(at)
	if err != nil {
		return err
	}
	if _, err := p.Header().WriteTo(headerHash); err != nil {
		return err
	}
	if err := p.VerifyDigests(ctx, r, bothHash); err != nil {
		return err
	}
	seen := bothHash.Sum(nil) // SHA-256 of the content; the packet's own part is not yet in it
	signatures := []rpm.Signature{{Tag: headerTag, HeaderOnly: true}, {Tag: bothTag}}
	if signatures[0].Packet, err = k.finish(header, headerHash, at); err != nil {
		return err
	}
	if signatures[1].Packet, err = k.finish(both, bothHash, at); err != nil {
		return err
	}
	if p.Format >= 6 {
		// Only headers are signed: once where rpm 6 looks, once where rpm 4 does
		// (rpm: format_v6.md).
		signatures[1] = rpm.Signature{Tag: rpm.SigOpenPGP, HeaderOnly: true, Packet: signatures[0].Packet}
	}
	if _, err := w.Write(p.WithSignatures(signatures...)); err != nil {
		return fmt.Errorf("writing the signed package: %w", err)
	}
	written := sha256.New()
	if err := p.CopyContent(ctx, r, io.MultiWriter(w, written)); err != nil {
		return fmt.Errorf("writing the signed package: %w", err)
	}
	if !bytes.Equal(seen, written.Sum(nil)) {
		return errors.New("its file was changed while it was being signed")
	}
	return nil
}

// SignPackageFile signs the package at in and makes the result appear at out,
// whole, by rename. Both may be the same path.
func (k *Key) SignPackageFile(ctx context.Context, in, out string, at time.Time) error {
	f, err := os.Open(in)
	if err != nil {
		return fmt.Errorf("signing a package: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("signing a package: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(out), ".sign-")
	if err != nil {
		return fmt.Errorf("signing package %s: %w", in, err)
	}
	defer func() {
		tmp.Close()
		os.Remove(tmp.Name()) // after the rename there is nothing to remove
	}()
	if err := k.SignPackage(ctx, f, fi.Size(), tmp, at); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	for _, step := range []func() error{
		func() error { return tmp.Chmod(0o644) },
		tmp.Sync,
		tmp.Close,
		func() error { return os.Rename(tmp.Name(), out) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("signing package %s: %w", in, err)
		}
	}
	return nil
}

// tags are where rpm looks for the key's kind of signature, over the header and
// over header and payload (rpm: rpmgensig.c, makeSigTag).
func (k *Key) tags() (header, both rpm.Tag) {
	if k.signer.PubKeyAlgo == packet.PubKeyAlgoEdDSA {
		return rpm.SigDSA, rpm.SigGPG
	}
	return rpm.SigRSA, rpm.SigPGP
}

// begin returns a signature packet to be finished and the hash that takes what
// it covers.
func (k *Key) begin(at time.Time) (*packet.Signature, hash.Hash, error) {
	cfg := config(k.SigningTime(at))
	s := &packet.Signature{
		Version:           k.signer.Version,
		SigType:           packet.SigTypeBinary,
		PubKeyAlgo:        k.signer.PubKeyAlgo,
		Hash:              cfg.Hash(),
		CreationTime:      cfg.Now(),
		IssuerKeyId:       &k.signer.KeyId,
		IssuerFingerprint: k.signer.Fingerprint,
	}
	h, err := s.PrepareSign(cfg)
	return s, h, err
}

func (k *Key) finish(s *packet.Signature, h hash.Hash, at time.Time) ([]byte, error) {
	if err := s.Sign(h, k.signer, config(k.SigningTime(at))); err != nil {
		return nil, fmt.Errorf("making the signature: %w", err)
	}
	var b bytes.Buffer
	if err := s.Serialize(&b); err != nil {
		return nil, fmt.Errorf("making the signature: %w", err)
	}
	return b.Bytes(), nil
}

// SignDetached reads message to its end and writes an armored signature of it,
// such as repomd.xml.asc.
func (k *Key) SignDetached(w io.Writer, message io.Reader, at time.Time) error {
	s, h, err := k.begin(at)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if _, err := io.Copy(h, message); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	b, err := k.finish(s, h, at)
	if err != nil {
		return err
	}
	text, err := armored(openpgp.SignatureType, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("writing the signature: %w", err)
	}
	return nil
}
