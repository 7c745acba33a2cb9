package sign

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key is a private signing key.
type Key struct {
	entity *openpgp.Entity
	signer *packet.PrivateKey
	public []byte // armored
}

// Params say what key to generate. Name, Comment and Email make the user id
// "Name (Comment) <Email>".
type Params struct {
	Name, Comment, Email string
	Created              time.Time // default: now
	Bits                 int       // default: 4096, RSA
}

// minimumBits is what EL 9's crypto policy asks of RSA.
const minimumBits = 2048

// Generate makes a key. With RSA-4096 it takes seconds.
func Generate(p Params) (*Key, error) {
	if p.Bits == 0 {
		p.Bits = 4096
	}
	if p.Bits < minimumBits {
		return nil, fmt.Errorf("generating a signing key: %d bits are too few, clients demand at least %d", p.Bits, minimumBits)
	}
	if p.Created.IsZero() {
		p.Created = time.Now()
	}
	if i := strings.IndexFunc(p.Name+p.Comment+p.Email, unicode.IsControl); i >= 0 {
		return nil, errors.New("generating a signing key: its user id has control characters")
	}
	raw, err := rsa.GenerateKey(rand.Reader, p.Bits)
	if err != nil {
		return nil, fmt.Errorf("generating a signing key: %w", err)
	}
	// One key that certifies and signs: old rpm does not know of subkeys.
	created := p.Created.UTC().Truncate(time.Second)
	primary := packet.NewRSAPrivateKey(created, raw)
	e := &openpgp.Entity{PrimaryKey: &primary.PublicKey, PrivateKey: primary, Identities: map[string]*openpgp.Identity{}}
	if err := e.AddUserId(p.Name, p.Comment, p.Email, config(created)); err != nil {
		return nil, fmt.Errorf("generating a signing key: %w", err)
	}
	k, err := newKey(e)
	if err != nil {
		return nil, fmt.Errorf("generating a signing key: %w", err)
	}
	return k, nil
}

// config is how everything is signed: nothing at random, nothing marked
// critical that older clients do not know (rpm 4.14 of Leap: key flags; yum of
// EL 7: the signature's time).
func config(at time.Time) *packet.Config {
	random := false
	return &packet.Config{
		DefaultHash:                           crypto.SHA256,
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: &random,
		InsecureGenerateNonCriticalKeyFlags:   true,
		InsecureGenerateNonCriticalSignatureCreationTime: true,
	}
}

// newKey takes the private key that signs: the entity's own or a subkey.
func newKey(e *openpgp.Entity) (*Key, error) {
	k, ok := e.SigningKey(time.Now())
	switch {
	case !ok || k.PrivateKey == nil:
		return nil, errors.New("it holds no valid private key that may sign")
	case k.PrivateKey.Encrypted:
		return nil, errors.New("its private key is protected by a passphrase; export one without")
	}
	if err := acceptable(k.PublicKey); err != nil {
		return nil, err
	}
	public, err := armored(openpgp.PublicKeyType, e.Serialize)
	if err != nil {
		return nil, err
	}
	return &Key{entity: e, signer: k.PrivateKey, public: public}, nil
}

// armored is what write writes, in an armor.
func armored(kind string, write func(io.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err != nil {
		return nil, err
	}
	if err := write(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// acceptable refuses keys whose signatures current clients refuse.
func acceptable(k *packet.PublicKey) error {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits, err := k.BitLength(); err != nil || bits < minimumBits {
			return fmt.Errorf("key %016X has %d bits, clients demand at least %d", k.KeyId, bits, minimumBits)
		}
		return nil
	case packet.PubKeyAlgoEdDSA:
		return nil
	default:
		return fmt.Errorf("key %016X is of a kind (%d) that rpm does not verify; use RSA", k.KeyId, k.PubKeyAlgo)
	}
}

// maxKey bounds a file of keys, in bytes.
const maxKey = 1 << 20

// ReadKey reads an armored private key without passphrase.
func ReadKey(r io.Reader) (*Key, error) {
	entities, err := readArmored(r, openpgp.PrivateKeyType)
	if err != nil {
		return nil, err
	}
	if len(entities) != 1 {
		return nil, fmt.Errorf("it holds %d keys, expected one", len(entities))
	}
	return newKey(entities[0])
}

// LoadKey reads the private key in a file that nobody but its owner may read.
func LoadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("loading the signing key: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("loading the signing key: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("loading the signing key %s: others may read it (mode %04o); run: chmod 600 %s", path, fi.Mode().Perm(), path)
	}
	k, err := ReadKey(f)
	if err != nil {
		return nil, fmt.Errorf("loading the signing key %s: %w", path, err)
	}
	return k, nil
}

// Save writes the private key, armored, to a new file that only its owner may
// read. A file that is there already is never replaced.
func (k *Key) Save(path string) error {
	b, err := armored(openpgp.PrivateKeyType, func(w io.Writer) error { return k.entity.SerializePrivateWithoutSigning(w, nil) })
	if err != nil {
		return fmt.Errorf("saving the signing key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("saving the signing key: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-") // mode 0600
	if err != nil {
		return fmt.Errorf("saving the signing key: %w", err)
	}
	defer func() {
		f.Close()
		os.Remove(f.Name())
	}()
	if _, err := f.Write(b); err != nil {
		return fmt.Errorf("saving the signing key: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("saving the signing key: %w", err)
	}
	// A link, unlike a rename, fails where there is a file.
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("saving the signing key: %s exists; move it away first, packages signed by it need its public half", path)
	} else if err != nil {
		return fmt.Errorf("saving the signing key: %w", err)
	}
	return nil
}

// PublicKey is the armored public key, as clients import it.
func (k *Key) PublicKey() []byte { return bytes.Clone(k.public) }

// Keyring holds the public half of the key.
func (k *Key) Keyring() *Keyring { return &Keyring{entities: openpgp.EntityList{k.entity}} }

// Fingerprint names the key, 40 upper-case hexadecimal digits.
func (k *Key) Fingerprint() string { return fingerprint(k.entity) }

func fingerprint(e *openpgp.Entity) string {
	return strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))
}

// UserID is whom the key says it belongs to.
func (k *Key) UserID() string {
	if id := k.entity.PrimaryIdentity(); id != nil {
		return id.Name
	}
	return ""
}

// Created is when the key was made, in whole seconds.
func (k *Key) Created() time.Time { return k.signer.CreationTime }

// SigningTime is the time that signatures made for at carry: not before the key
// was made, when no client would accept them.
func (k *Key) SigningTime(at time.Time) time.Time {
	if created := k.Created(); at.Before(created) {
		at = created
	}
	return at.UTC().Truncate(time.Second)
}

// readArmored reads all keys of all armored blocks of that type.
func readArmored(r io.Reader, kind string) (openpgp.EntityList, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKey+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKey {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKey)
	}
	var all openpgp.EntityList
	for in := bufio.NewReader(bytes.NewReader(b)); ; {
		block, err := armor.Decode(in) // goes on where it stopped, because in is buffered
		if errors.Is(err, io.EOF) && len(all) > 0 {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is no armored OpenPGP key: %w", err)
		}
		if block.Type != kind {
			return nil, fmt.Errorf("it holds a %s, expected a %s", block.Type, kind)
		}
		entities, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, fmt.Errorf("it is no OpenPGP key that can be used: %w", err)
		}
		all = append(all, entities...)
	}
}
