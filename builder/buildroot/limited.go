package buildroot

import "bytes"

// What a package's scriptlets may do as root of a root file system. Packages come
// from builds, which are not trusted.
const (
	maxPids   = 4096
	maxDisk   = 32 << 30 // bytes of the layer
	maxOutput = 16 << 20 // bytes that are read of what they print
)

// limited keeps the beginning of what is written to it.
type limited struct {
	kept bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	keep := p[:min(len(p), l.left)]
	l.left -= len(keep)
	l.kept.Write(keep)
	return len(p), nil
}

func (l *limited) String() string { return l.kept.String() }
