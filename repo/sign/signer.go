package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Signer holds a private key somewhere and signs SHA-256 digests with it. The
// answer is an RSA signature by PKCS #1 v1.5, a number with its most significant
// byte first, or the 64 bytes of an Ed25519 signature whose message is the digest. It is called by
// several goroutines at once.
type Signer interface {
	Sign(ctx context.Context, digest []byte) ([]byte, error)
}

const ed25519Size = ed25519.SignatureSize

// memory is a private key in this process.
type memory struct{ crypto.Signer }

// Sign is deterministic: both kinds of signatures are.
func (m memory) Sign(_ context.Context, digest []byte) ([]byte, error) {
	if _, ok := m.Signer.(ed25519.PrivateKey); ok {
		return m.Signer.Sign(nil, digest, crypto.Hash(0)) // OpenPGP: the digest is the message
	}
	return m.Signer.Sign(nil, digest, crypto.SHA256)
}

func newMemory(k *packet.PrivateKey) (memory, error) {
	switch key := k.PrivateKey.(type) {
	case *rsa.PrivateKey:
		return memory{key}, nil
	case *eddsa.PrivateKey:
		seed := key.MarshalByteSecret()
		if len(seed) > ed25519.SeedSize {
			return memory{}, errors.New("its private key is not one of Ed25519")
		}
		seed = append(make([]byte, ed25519.SeedSize-len(seed)), seed...)
		private := ed25519.NewKeyFromSeed(seed)
		if point, err := ed25519Public(&k.PublicKey); err != nil || !bytes.Equal(point, private.Public().(ed25519.PublicKey)) {
			return memory{}, errors.New("its private and its public half do not belong together")
		}
		return memory{private}, nil
	}
	return memory{}, fmt.Errorf("its private key is of a kind (%d) that rpm does not verify; use RSA or Ed25519", k.PubKeyAlgo)
}

// ed25519Public is the public key of the older kind of OpenPGP Ed25519 keys,
// which have algorithm number 22.
func ed25519Public(k *packet.PublicKey) (ed25519.PublicKey, error) {
	key, ok := k.PublicKey.(*eddsa.PublicKey)
	if !ok || key.GetCurve().GetCurveName() != "ed25519" || len(key.X) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("key %016X is not one of Ed25519", k.KeyId)
	}
	return ed25519.PublicKey(key.X), nil
}

// foreign is a signer outside of this process, whose answers are not believed.
type foreign struct {
	Signer
	public *packet.PublicKey
}

// ErrWrongSignature says that a signer's answer is not the signature that it was
// asked for.
var ErrWrongSignature = errors.New("what came back is not a signature by this key")

func (f foreign) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	raw, err := f.Signer.Sign(ctx, digest)
	if err != nil {
		return nil, err
	}
	right := false
	if key, ok := f.public.PublicKey.(*rsa.PublicKey); ok {
		raw = bytes.TrimLeft(raw, "\x00")
		raw = append(make([]byte, max(0, key.Size()-len(raw))), raw...)
		right = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, raw) == nil
	} else if key, err := ed25519Public(f.public); err == nil {
		right = len(raw) == ed25519Size && ed25519.Verify(key, digest, raw)
	}
	if !right {
		return nil, fmt.Errorf("%w (%d bytes)", ErrWrongSignature, len(raw))
	}
	return raw, nil
}
