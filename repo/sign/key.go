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
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key signs. Its private half is in this process or wherever its Signer keeps it.
type Key struct {
	entity  *openpgp.Entity   // with the private half when that is in this process
	public  *packet.PublicKey // that signatures are made with: the entity's own or a subkey
	signer  Signer
	armored []byte             // the public half
	retired openpgp.EntityList // that clients are still to know
}

// Algorithm is a kind of key.
type Algorithm string

// The kinds of keys that every rpm since 4.16 verifies; RSA is verified by older
// ones too.
const (
	RSA     Algorithm = "rsa"
	Ed25519 Algorithm = "ed25519"
)

// Params say what key to generate. Name, Comment and Email make the user id
// "Name (Comment) <Email>".
type Params struct {
	Name, Comment, Email string
	Algorithm            Algorithm     // default: RSA
	Bits                 int           // of RSA; default: 4096
	Created              time.Time     // default: now
	Lifetime             time.Duration // after which it is expired; default: never
}

// minimumBits is what EL 9's crypto policy asks of RSA.
const minimumBits = 2048

// maxLifetime is what fits into a signature, in seconds.
const maxLifetime = math.MaxUint32 * time.Second

// Generate makes a key. With RSA-4096 it takes seconds.
func Generate(p Params) (*Key, error) {
	k, err := generate(p)
	if err != nil {
		return nil, fmt.Errorf("generating a signing key: %w", err)
	}
	return k, nil
}

func generate(p Params) (*Key, error) {
	if p.Algorithm == "" {
		p.Algorithm = RSA
	}
	if p.Bits == 0 {
		p.Bits = 4096
	}
	if p.Bits < minimumBits {
		return nil, fmt.Errorf("%d bits are too few, clients demand at least %d", p.Bits, minimumBits)
	}
	if p.Created.IsZero() {
		p.Created = time.Now()
	}
	if p.Lifetime < 0 || p.Lifetime > maxLifetime || p.Lifetime%time.Second != 0 {
		return nil, fmt.Errorf("it cannot expire after %v", p.Lifetime)
	}
	if i := strings.IndexFunc(p.Name+p.Comment+p.Email, unicode.IsControl); i >= 0 {
		return nil, errors.New("its user id has control characters")
	}
	created := p.Created.UTC().Truncate(time.Second)
	cfg := config(created)
	cfg.KeyLifetimeSecs = uint32(p.Lifetime / time.Second)
	// One key that certifies and signs: old rpm does not know of subkeys.
	var e *openpgp.Entity
	switch p.Algorithm {
	case RSA:
		raw, err := rsa.GenerateKey(rand.Reader, p.Bits)
		if err != nil {
			return nil, err
		}
		primary := packet.NewRSAPrivateKey(created, raw)
		e = &openpgp.Entity{PrimaryKey: &primary.PublicKey, PrivateKey: primary, Identities: map[string]*openpgp.Identity{}}
		if err := e.AddUserId(p.Name, p.Comment, p.Email, cfg); err != nil {
			return nil, err
		}
	case Ed25519:
		cfg.Algorithm = packet.PubKeyAlgoEdDSA
		var err error
		if e, err = openpgp.NewEntity(p.Name, p.Comment, p.Email, cfg); err != nil {
			return nil, err
		}
		e.Subkeys = nil // the one that encrypts
	default:
		return nil, fmt.Errorf("there is no algorithm %q; there are %s and %s", p.Algorithm, RSA, Ed25519)
	}
	return newKey(e, created)
}

// config is how keys certify themselves: nothing at random, nothing marked
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

// ErrKeyInvalid says that a key has expired or was revoked.
var ErrKeyInvalid = errors.New("its key is not valid any more")

// newKey takes the private key that signs at that time: the entity's own or a
// subkey.
func newKey(e *openpgp.Entity, now time.Time) (*Key, error) {
	k, err := signingKey(e, now)
	switch {
	case err != nil:
		return nil, err
	case k.PrivateKey == nil:
		return nil, errors.New("it holds no private key that may sign")
	case k.PrivateKey.Encrypted:
		return nil, errors.New("its private key is protected by a passphrase; export one without, or let gpg-agent sign (key: {agent: FINGERPRINT})")
	}
	m, err := newMemory(k.PrivateKey)
	if err != nil {
		return nil, err
	}
	return withSigner(e, k.PublicKey, m)
}

func withSigner(e *openpgp.Entity, public *packet.PublicKey, s Signer) (*Key, error) {
	text, err := armored(openpgp.PublicKeyType, e.Serialize)
	if err != nil {
		return nil, err
	}
	return &Key{entity: e, public: public, signer: s, armored: text}, nil
}

// signingKey finds what signs at that time.
func signingKey(e *openpgp.Entity, now time.Time) (openpgp.Key, error) {
	self, _ := e.PrimarySelfSignature()
	switch {
	case self == nil:
		return openpgp.Key{}, fmt.Errorf("key %s does not certify itself", fingerprint(e))
	case e.Revoked(now):
		return openpgp.Key{}, fmt.Errorf("%w: key %s was revoked", ErrKeyInvalid, fingerprint(e))
	case e.PrimaryKey.KeyExpired(self, now):
		return openpgp.Key{}, fmt.Errorf("%w: key %s expired on %s", ErrKeyInvalid, fingerprint(e), expires(e).Format(time.DateOnly))
	}
	k, ok := e.SigningKey(now)
	if !ok {
		return openpgp.Key{}, fmt.Errorf("key %s holds none that may sign", fingerprint(e))
	}
	return k, acceptable(k.PublicKey)
}

// expires is when a key expires, or zero.
func expires(e *openpgp.Entity) time.Time {
	self, _ := e.PrimarySelfSignature()
	if self == nil || self.KeyLifetimeSecs == nil || *self.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return e.PrimaryKey.CreationTime.Add(time.Duration(*self.KeyLifetimeSecs) * time.Second).UTC()
}

// NewKey is a key whose private half is elsewhere: public is the public one,
// armored, and s signs with the private one. Each of its signatures is verified.
func NewKey(public io.Reader, s Signer) (*Key, error) {
	entities, err := readArmored(public, openpgp.PublicKeyType)
	if err != nil {
		return nil, err
	}
	if len(entities) != 1 {
		return nil, fmt.Errorf("it holds %d keys, expected one", len(entities))
	}
	k, err := signingKey(entities[0], time.Now())
	if err != nil {
		return nil, err
	}
	return withSigner(entities[0], k.PublicKey, foreign{s, k.PublicKey})
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
	if k.Version != 4 {
		return fmt.Errorf("key %016X is of version %d, rpm knows version 4", k.KeyId, k.Version)
	}
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits, err := k.BitLength(); err != nil || bits < minimumBits {
			return fmt.Errorf("key %016X has %d bits, clients demand at least %d", k.KeyId, bits, minimumBits)
		}
		return nil
	case packet.PubKeyAlgoEdDSA:
		_, err := ed25519Public(k)
		return err
	default:
		return fmt.Errorf("key %016X is of a kind (%d) that rpm does not verify; use RSA or Ed25519", k.KeyId, k.PubKeyAlgo)
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
	return newKey(entities[0], time.Now())
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
	if k.entity.PrivateKey == nil {
		return errors.New("saving the signing key: its private half is elsewhere")
	}
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

// PublicKey is what clients import: the armored public key, and after it those of
// the retired keys, each in an armor of its own.
func (k *Key) PublicKey() []byte {
	// What was read from an armor can be written into one.
	retired, _ := (&Keyring{entities: k.retired}).Armored()
	return append(bytes.Clone(k.armored), retired...)
}

// WithRetired is the key with others that do not sign any more, and are published
// beside it for what they have signed. The key itself is left out of them.
func (k *Key) WithRetired(old *Keyring) *Key {
	with := *k
	with.retired = nil
	for _, e := range old.entities {
		if fingerprint(e) != k.Fingerprint() {
			with.retired = append(with.retired, e)
		}
	}
	return &with
}

// Keyring holds the public half of the key: the only one that signs.
func (k *Key) Keyring() *Keyring { return &Keyring{entities: openpgp.EntityList{k.entity}} }

// Published holds all keys that clients know: this one and the retired ones.
func (k *Key) Published() *Keyring {
	return &Keyring{entities: append(openpgp.EntityList{k.entity}, k.retired...)}
}

// Fingerprint names the key, 40 upper-case hexadecimal digits.
func (k *Key) Fingerprint() string { return fingerprint(k.entity) }

func fingerprint(e *openpgp.Entity) string {
	return strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))
}

// SigningFingerprint names what signs: the key itself or a subkey.
func (k *Key) SigningFingerprint() string {
	return strings.ToUpper(hex.EncodeToString(k.public.Fingerprint))
}

// Algorithm is the kind of what signs.
func (k *Key) Algorithm() Algorithm {
	if k.public.PubKeyAlgo == packet.PubKeyAlgoEdDSA {
		return Ed25519
	}
	return RSA
}

// UserID is whom the key says it belongs to.
func (k *Key) UserID() string { return describe(k.entity).UserID }

// Created is when the key was made, in whole seconds.
func (k *Key) Created() time.Time { return k.public.CreationTime }

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
