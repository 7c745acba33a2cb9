package sha256x2

import (
	"crypto/fips140"
)

// blocks digests n blocks at a, n > 0, into one, and as many at b into two.
//
//go:noescape
func blocks(one, two *state, a, b *byte, n int)

// cpuid is the processor's instruction of that name, with zero in ECX.
func cpuid(leaf uint32) (eax, ebx, ecx uint32)

// accelerated says that blocks can be called, and may be: those who want FIPS 140
// want crypto/sha256.
var accelerated = hasInstructions() && !fips140.Enabled()

// hasInstructions says that there are SSSE3 and the SHA extensions (Intel 64 and
// IA-32 Architectures Software Developer's Manual, volume 2A, CPUID).
func hasInstructions() bool {
	const (
		ssse3 = 1 << 9  // leaf 1, ECX
		sha   = 1 << 29 // leaf 7, EBX
	)
	if highest, _, _ := cpuid(0); highest < 7 {
		return false
	}
	_, _, features := cpuid(1)
	_, extended, _ := cpuid(7)
	return features&ssse3 != 0 && extended&sha != 0
}
