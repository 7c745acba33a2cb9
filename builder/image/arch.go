package image

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// debianNames are rpm's names of architectures and Debian's, which OCI shares.
var debianNames = map[string]string{"x86_64": "amd64", "aarch64": "arm64"}

// DebianArch returns Debian's name of an architecture under rpm's name.
func DebianArch(arch string) (string, error) {
	name, ok := debianNames[arch]
	if !ok {
		return "", fmt.Errorf("architecture %q is not one that images are made for (x86_64, aarch64)", arch)
	}
	return name, nil
}

func platformOf(arch string) (v1.Platform, error) {
	name, err := DebianArch(arch)
	return v1.Platform{OS: "linux", Architecture: name}, err
}
