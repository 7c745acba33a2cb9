package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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
// carry SigningTime(at). What was written before an error is to be thrown away.
//
// Like rpmsign, it signs the header, which holds the payload's digest; and header
// and payload together only where there is no strong one (rpm: rpmsign(8),
// --rpmv3). A package of format 6 is signed where rpm 6 looks, and where rpm 4 does.
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
	header := k.begin(at)
	if _, err := p.Header().WriteTo(header); err != nil {
		return err
	}
	packet, err := header.finish(ctx)
	if err != nil {
		return err
	}
	signatures := []rpm.Signature{{Tag: headerTag, HeaderOnly: true, Packet: packet}}
	switch {
	case p.Format >= 6: // rpm: format_v6.md
		signatures = append(signatures, rpm.Signature{Tag: rpm.SigOpenPGP, HeaderOnly: true, Packet: packet})
	case !strongPayloadDigest(p):
		return k.signBoth(ctx, p, r, w, at, append(signatures, rpm.Signature{Tag: bothTag}))
	}
	if _, err := w.Write(p.WithSignatures(signatures...)); err != nil {
		return fmt.Errorf("writing the signed package: %w", err)
	}
	// The signed header is in memory. So the payload is read only once: what is
	// written is what is compared with the digest in the header.
	return p.VerifyContent(ctx, r, w)
}

// signBoth completes the last of the signatures, over header and payload, and
// writes the package.
func (k *Key) signBoth(ctx context.Context, p *rpm.Package, r io.ReaderAt, w io.Writer, at time.Time, signatures []rpm.Signature) error {
	both := k.begin(at)
	if err := p.VerifyDigests(ctx, r, both); err != nil {
		return err
	}
	seen := both.Sum(nil) // of the content; the packet's own part is not yet in it
	var err error
	if signatures[len(signatures)-1].Packet, err = both.finish(ctx); err != nil {
		return err
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
// whole, by rename. Both may be the same path. Nothing is forced to the disk:
// who signs many files does that once.
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
	if err := k.signFile(ctx, f, fi.Size(), tmp, out, at); err != nil {
		tmp.Close()
		os.Remove(tmp.Name())
		return fmt.Errorf("%s: %w", in, err)
	}
	return nil
}

// signFile signs into tmp, which becomes out.
func (k *Key) signFile(ctx context.Context, r io.ReaderAt, size int64, tmp *os.File, out string, at time.Time) error {
	if err := k.SignPackage(ctx, r, size, tmp, at); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return tmp.Chmod(0o644) },
		tmp.Close,
		func() error { return os.Rename(tmp.Name(), out) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("putting the signed package in its place: %w", err)
		}
	}
	return nil
}

// tags are where rpm looks for the key's kind of signature, over the header and
// over header and payload (rpm: rpmgensig.c, makeSigTag).
func (k *Key) tags() (header, both rpm.Tag) {
	if k.public.PubKeyAlgo == packet.PubKeyAlgoEdDSA {
		return rpm.SigDSA, rpm.SigGPG
	}
	return rpm.SigRSA, rpm.SigPGP
}

// SignDetached reads message to its end and writes an armored signature of it,
// such as repomd.xml.asc.
func (k *Key) SignDetached(w io.Writer, message io.Reader, at time.Time) error {
	s := k.begin(at)
	if _, err := io.Copy(s, message); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	b, err := s.finish(context.Background()) // signers outside of this process have a time limit
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
