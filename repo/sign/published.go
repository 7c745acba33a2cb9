package sign

import (
	"fmt"
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
