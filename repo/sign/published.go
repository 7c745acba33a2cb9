package sign

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Public describes a public key.
type Public struct {
	Fingerprint string // 40 upper-case hexadecimal digits
	UserID      string
	Algorithm   string // "RSA-4096", "Ed25519"
	Created     time.Time
	Expires     time.Time // zero: never
	Revoked     bool
}

// Keys describes the keys, in the keyring's order.
func (kr *Keyring) Keys() []Public {
	var all []Public
	for _, e := range kr.entities {
		all = append(all, describe(e))
	}
	return all
}

func describe(e *openpgp.Entity) Public {
	p := Public{
		Fingerprint: fingerprint(e), Algorithm: algorithmName(e.PrimaryKey),
		Created: e.PrimaryKey.CreationTime.UTC(), Expires: expires(e), Revoked: e.Revoked(time.Now()),
	}
	if id := e.PrimaryIdentity(); id != nil {
		p.UserID = id.Name
	}
	return p
}

func algorithmName(k *packet.PublicKey) string {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits, err := k.BitLength(); err == nil {
			return fmt.Sprintf("RSA-%d", bits)
		}
		return "RSA"
	case packet.PubKeyAlgoEdDSA:
		return "Ed25519"
	}
	return fmt.Sprintf("algorithm %d", k.PubKeyAlgo)
}

// With is the keyring and others behind it.
func (kr *Keyring) With(other *Keyring) *Keyring {
	return &Keyring{entities: slices.Concat(kr.entities, other.entities)}
}

// Armored are the keys as clients import them, each in an armor of its own.
func (kr *Keyring) Armored() ([]byte, error) {
	var all []byte
	for _, e := range kr.entities {
		b, err := armored(openpgp.PublicKeyType, e.Serialize)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

// LoadPublic reads the public half of the private key in a file, which may be one
// that cannot sign any more.
func LoadPublic(path string) (*Keyring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entities, err := readArmored(f, openpgp.PrivateKeyType)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	if len(entities) != 1 {
		return nil, fmt.Errorf("reading the key %s: it holds %d keys, expected one", path, len(entities))
	}
	return &Keyring{entities: entities}, nil
}
