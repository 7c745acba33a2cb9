package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/bits"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// draft is a signature being made: what it covers is written to it, then it is
// finished. The packet is of version 4 and laid out as GnuPG lays it out, which
// every rpm reads (RFC 4880, section 5.2.3). go-crypto writes such packets too,
// but for Ed25519 it must hold the private key itself, and one that lies in an
// agent cannot be held.
type draft struct {
	hash.Hash
	key    *Key
	hashed []byte // the part of the packet that is signed with the content
}

// Numbers of RFC 4880, sections 5.2.1, 5.2.3.1 and 9.4.
const (
	binaryDocument        = 0
	hashSHA256            = 8
	subpacketCreated      = 2
	subpacketIssuer       = 16
	subpacketFingerprint  = 33
	signaturePacketHeader = 0x80 | 2<<2
)

// begin returns a signature that will carry SigningTime(at).
func (k *Key) begin(at time.Time) *draft {
	subpackets := []byte{5, subpacketCreated}
	subpackets = binary.BigEndian.AppendUint32(subpackets, uint32(k.SigningTime(at).Unix()))
	subpackets = append(subpackets, byte(2+len(k.public.Fingerprint)), subpacketFingerprint, byte(k.public.Version))
	subpackets = append(subpackets, k.public.Fingerprint...)
	hashed := []byte{4, binaryDocument, byte(k.public.PubKeyAlgo), hashSHA256}
	hashed = binary.BigEndian.AppendUint16(hashed, uint16(len(subpackets)))
	return &draft{Hash: sha256.New(), key: k, hashed: append(hashed, subpackets...)}
}

// finish returns the packet. What was written to the draft is signed then, so it
// is finished once.
func (d *draft) finish(ctx context.Context) ([]byte, error) {
	d.Write(d.hashed)
	d.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(d.hashed))))
	digest := d.Sum(nil)
	raw, err := d.key.signer.Sign(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("making a signature with key %s: %w", d.key.Fingerprint(), err)
	}
	numbers, err := numbersOf(d.key.public, raw)
	if err != nil {
		return nil, fmt.Errorf("making a signature with key %s: %w", d.key.Fingerprint(), err)
	}
	body := append([]byte(nil), d.hashed...)
	body = append(body, 0, 10, 9, subpacketIssuer) // not signed: it only helps to find the key
	body = binary.BigEndian.AppendUint64(body, d.key.public.KeyId)
	body = append(body, digest[:2]...)
	for _, n := range numbers {
		body = appendNumber(body, n)
	}
	var b []byte
	if len(body) < 1<<8 {
		b = []byte{signaturePacketHeader, byte(len(body))}
	} else {
		b = binary.BigEndian.AppendUint16([]byte{signaturePacketHeader | 1}, uint16(len(body)))
	}
	return append(b, body...), nil
}

// numbersOf are the numbers that a signature packet holds of a signature.
func numbersOf(k *packet.PublicKey, raw []byte) ([][]byte, error) {
	if k.PubKeyAlgo != packet.PubKeyAlgoEdDSA {
		return [][]byte{raw}, nil
	}
	if len(raw) != ed25519Size {
		return nil, errors.New("an Ed25519 signature has 64 bytes")
	}
	return [][]byte{raw[:ed25519Size/2], raw[ed25519Size/2:]}, nil
}

// appendNumber appends a multiprecision integer (RFC 4880, section 3.2).
func appendNumber(to, n []byte) []byte {
	if n = bytes.TrimLeft(n, "\x00"); len(n) == 0 {
		return append(to, 0, 0)
	}
	to = binary.BigEndian.AppendUint16(to, uint16(8*(len(n)-1)+bits.Len8(n[0])))
	return append(to, n...)
}
