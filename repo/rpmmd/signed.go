package rpmmd

import (
	"bytes"
	"io"
	"path"
	"time"
)

// Signer signs metadata; *sign.Key is one.
type Signer interface {
	SignDetached(w io.Writer, message io.Reader, at time.Time) error
	PublicKey() []byte // armored
}

// Sign makes the files that go beside repomd.xml, by their names: its signature,
// and the public keys that clients may be offered.
func Sign(repomd []byte, by Signer, at time.Time) (map[string][]byte, error) {
	var signature bytes.Buffer
	if err := by.SignDetached(&signature, bytes.NewReader(repomd), at); err != nil {
		return nil, err
	}
	name := path.Base(RepomdFile)
	return map[string][]byte{name + ".asc": signature.Bytes(), name + ".key": by.PublicKey()}, nil
}
