package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ManifestFile says of a snapshot what its packages do not.
const ManifestFile = "snapshot.json"

// Manifest determines all of a snapshot's bytes; its digest is the snapshot's
// name, so that a snapshot cannot be taken for another one.
type Manifest struct {
	Version       int      `json:"version"` // changes whenever the same packages give another snapshot
	Release       string   `json:"release"`
	Target        string   `json:"target"`
	Architectures []string `json:"architectures"`
	URL           string   `json:"url"`
	Compression   string   `json:"compression"`
	Time          int64    `json:"time"`       // seconds since 1970
	Key           string   `json:"key"`        // SHA-256 of the public key file
	ClientFile    string   `json:"clientFile"` // SHA-256 of the .repo file
	Packages      int      `json:"packages"`
	Contents      string   `json:"contents"`            // SHA-256 over the packages' places and digests
	Documents     string   `json:"documents,omitempty"` // SHA-256 over groups and advisories
}

// ManifestVersion is that of the manifests that are written.
const ManifestVersion = 2

// Encode returns the manifest file and the snapshot's id.
func (m Manifest) Encode() (b []byte, id string, err error) {
	if b, err = json.MarshalIndent(m, "", "  "); err != nil {
		return nil, "", err
	}
	b = append(b, '\n')
	return b, Digest(b)[:32], nil
}

// Digest is the SHA-256 of a file in hexadecimal digits.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ReadManifest reads the manifest of the snapshot in dir, wherever it lies. The
// id is the one that the snapshot should have.
func ReadManifest(dir string) (m Manifest, id string, err error) {
	f, err := os.OpenFile(filepath.Join(dir, ManifestFile), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return m, "", err
	}
	defer f.Close()
	if err := regular(f); err != nil {
		return m, "", err
	}
	return decode(f)
}

// regular refuses pipes, folders and whatever else may have a manifest's name.
func regular(f *os.File) error {
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", ManifestFile)
	}
	return err
}

func readManifest(r io.Reader, id string) (Manifest, error) {
	m, is, err := decode(r)
	if err == nil && is != id {
		err = fmt.Errorf("%s is not the one that was written: its digest is not the snapshot's name", ManifestFile)
	}
	return m, err
}

func decode(r io.Reader) (m Manifest, id string, err error) {
	const limit = 64 << 10
	b, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return m, "", err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, "", fmt.Errorf("%s: %w", ManifestFile, err)
	}
	if m.Version != ManifestVersion {
		return m, "", fmt.Errorf("%s is version %d, this program reads %d", ManifestFile, m.Version, ManifestVersion)
	}
	return m, idOf(b), nil
}

func idOf(b []byte) string { return Digest(b)[:32] }

// Contents is what a snapshot has: its packages in the order of their places.
type Contents struct {
	hash  hash.Hash
	count int
}

// Add adds a package: its slash-separated place and its SHA-256.
func (c *Contents) Add(place, sha256sum string) {
	if c.hash == nil {
		c.hash = sha256.New()
	}
	c.count++
	fmt.Fprintf(c.hash, "%q sha256:%s\n", place, sha256sum)
}

// Packages is how many there are.
func (c *Contents) Packages() int { return c.count }

// Digest is the digest of all of them.
func (c *Contents) Digest() string {
	if c.hash == nil {
		return Digest(nil)
	}
	return hex.EncodeToString(c.hash.Sum(nil))
}
