package sha256x2

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var _ hash.Hash = (*Digest)(nil)

// kinds are the ways to a digest: each must give what crypto/sha256 gives.
var kinds = func() map[string]bool {
	k := map[string]bool{"portable": false}
	if accelerated {
		k["accelerated"] = true
	}
	return k
}()

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = random.Read(b) // does not fail; math/rand/v2
	return b
}

func requireSum(t *testing.T, want []byte, d *Digest, message ...any) {
	t.Helper()
	sum := sha256.Sum256(want)
	require.Equal(t, hex.EncodeToString(sum[:]), hex.EncodeToString(d.Sum(nil)), message...)
}

// TestLengths has every pair of lengths around three blocks, at addresses of
// any alignment.
func TestLengths(t *testing.T) {
	one, two := randomBytes(1, 400), randomBytes(2, 400)
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			for n := range 301 {
				for m := n % 7; m <= 300; m += 7 {
					a, b := one[n%17:n%17+n], two[m%13:m%13+m]
					first, second := newDigest(kind), newDigest(kind)
					Write(first, a, second, b)
					if x, y := sha256.Sum256(a), sha256.Sum256(b); string(x[:]) != string(first.Sum(nil)) || string(y[:]) != string(second.Sum(nil)) {
						t.Fatalf("wrong with %d and %d bytes", n, m)
					}
				}
			}
		})
	}
}

// TestWrites writes the same bytes in parts of any length, both lanes together and
// each alone, and asks for digests in between.
func TestWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			for round := range 200 {
				a, b := randomBytes(uint64(round), random.IntN(5000)), randomBytes(uint64(round+1), random.IntN(5000))
				one, two := newDigest(kind), newDigest(kind)
				for i, j := 0, 0; i < len(a) || j < len(b); {
					n, m := min(random.IntN(300), len(a)-i), min(random.IntN(300), len(b)-j)
					switch random.IntN(4) {
					case 0:
						_, _ = one.Write(a[i : i+n])
						_, _ = two.Write(b[j : j+m])
					case 1:
						Write(two, b[j:j+m], one, a[i:i+n])
					default:
						Write(one, a[i:i+n], two, b[j:j+m])
					}
					i, j = i+n, j+m
					requireSum(t, a[:i], one)
					requireSum(t, b[:j], two)
				}
				one.Reset()
				Write(one, b, nil, nil)
				requireSum(t, b, one, "after Reset")
			}
		})
	}
}

// TestMixed gives one digest of each kind what belongs to it.
func TestMixed(t *testing.T) {
	a, b := randomBytes(1, 1000), randomBytes(2, 1100)
	for _, kind := range kinds {
		one, two := newDigest(kind), newDigest(false)
		Write(one, a, two, b)
		Write(two, a, one, b)
		requireSum(t, append(append([]byte(nil), a...), b...), one)
		requireSum(t, append(append([]byte(nil), b...), a...), two)
	}
}

func TestNothing(t *testing.T) {
	d := New()
	Write(d, nil, nil, nil)
	Write(nil, nil, d, []byte{})
	Write(nil, nil, nil, nil)
	requireSum(t, nil, d)
	Write(nil, nil, d, []byte("one"))
	_, err := io.WriteString(d, " and another")
	require.NoError(t, err)
	requireSum(t, []byte("one and another"), d)
	require.Equal(t, append([]byte("before"), d.Sum(nil)...), d.Sum([]byte("before")))
	require.Equal(t, sha256.Size, d.Size())
	require.Equal(t, sha256.BlockSize, d.BlockSize())
}

// TestLong is more bits than 32 bits can count.
func TestLong(t *testing.T) {
	if testing.Short() {
		t.Skip("digests 513 MiB")
	}
	part := randomBytes(1, 1<<20)
	one, two, want := New(), New(), sha256.New()
	for range 513 {
		Write(one, part, two, part)
		want.Write(part)
	}
	require.Equal(t, want.Sum(nil), one.Sum(nil))
	require.Equal(t, want.Sum(nil), two.Sum(nil))
}

// TestAccelerated: where there are the instructions, they are used.
func TestAccelerated(t *testing.T) {
	require.Equal(t, accelerated, New().portable == nil)
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte("a"), []byte("b"), 1, 1)
	f.Add(randomBytes(1, 200), randomBytes(2, 77), 64, 63)
	f.Fuzz(func(t *testing.T, a, b []byte, i, j int) {
		i, j = min(max(i, 0), len(a)), min(max(j, 0), len(b))
		for _, kind := range kinds {
			one, two := newDigest(kind), newDigest(kind)
			Write(one, a[:i], two, b[:j])
			Write(one, a[i:], two, b[j:])
			requireSum(t, a, one)
			requireSum(t, b, two)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1 << 10, 40 << 10} {
		buf := make([]byte, size)
		b.Run(fmt.Sprintf("pair-%d", size), func(b *testing.B) {
			b.SetBytes(int64(2 * size))
			one, two := New(), New()
			for b.Loop() {
				Write(one, buf, two, buf)
			}
		})
		b.Run(fmt.Sprintf("crypto-%d", size), func(b *testing.B) {
			b.SetBytes(int64(2 * size))
			one, two := sha256.New(), sha256.New()
			for b.Loop() {
				one.Write(buf)
				two.Write(buf)
			}
		})
	}
}
