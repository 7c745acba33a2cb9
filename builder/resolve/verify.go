package resolve

import (
	"context"
	"crypto/sha1" // what old repositories name packages by
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// checksums are those that repositories use (createrepo_c: checksum.c).
var checksums = map[string]func() hash.Hash{
	"sha1": sha1.New, "sha": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// verify makes sure that a file is the package that its metadata told of: the same
// bytes, whole, and by its own word that package.
func verify(ctx context.Context, path string, f found) error {
	if f.Checksum != "" {
		algorithm, want, _ := strings.Cut(f.Checksum, ":")
		fresh, ok := checksums[algorithm]
		if !ok {
			return fmt.Errorf("its metadata name it by the unknown checksum %q", algorithm)
		}
		got, err := sum(path, fresh())
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("the repository's metadata promise %s %s, and its bytes are %s", algorithm, want, got)
		}
	}
	header, err := rpm.ReadFile(path)
	if err != nil {
		return err
	}
	if header.Name != f.Name || header.EVR().Compare(rpm.ParseEVR(f.EVR)) != 0 || header.Arch != f.Arch {
		return fmt.Errorf("the repository promised %s-%s.%s and sent %s", f.Name, f.EVR, f.Arch, header.NEVRA())
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return header.VerifyDigests(ctx, file)
}

func sum(path string, h hash.Hash) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
