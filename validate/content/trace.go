package content

import (
	"bytes"
	"slices"
	"strings"
)

// Where builds take place: in ours, mock's, the Build Service's and those of
// people. A build root is where a build installs to, so that no installed file has
// a use for its name.
var (
	rootTraces   = [][]byte{[]byte("build/BUILDROOT/"), []byte("packages/BUILDROOT/")}
	sourceTraces = [][]byte{[]byte("build/BUILD/"), []byte("src/packages/BUILD/")}
)

// longestTrace is the length of the longest of them.
const longestTrace = len("packages/BUILDROOT/")

// built is where a path is when it is where packages are built.
func built(path string) string {
	for _, list := range [][][]byte{rootTraces, sourceTraces} {
		for _, t := range list {
			if strings.Contains(path, string(t)) {
				return path
			}
		}
	}
	return ""
}

// traces looks for build paths in what is written to it, and keeps the first of
// each kind.
type traces struct {
	root, sources string
	last          []byte // the end of what was written before
}

// Write never fails.
func (t *traces) Write(b []byte) (int, error) {
	if len(t.last) > 0 { // what stands on the boundary
		t.search(slices.Concat(t.last, b[:min(len(b), longestTrace)]))
	}
	t.search(b)
	t.last = append(t.last, b[max(0, len(b)-longestTrace):]...)
	t.last = slices.Clone(t.last[max(0, len(t.last)-longestTrace):])
	return len(b), nil
}

func (t *traces) search(b []byte) {
	for _, kind := range []struct {
		into   *string
		traces [][]byte
	}{{&t.root, rootTraces}, {&t.sources, sourceTraces}} {
		for _, trace := range kind.traces {
			if *kind.into != "" {
				break
			}
			if at := bytes.Index(b, trace); at >= 0 {
				*kind.into = around(b, at)
			}
		}
	}
}

// around is the path that stands at a place.
func around(b []byte, at int) string {
	const most = 120
	inPath := func(c byte) bool { return c > ' ' && c < 0x7f && !bytes.ContainsRune([]byte(`"'<>|;,`), rune(c)) }
	start, end := at, at
	for start > 0 && at-start < most && inPath(b[start-1]) {
		start--
	}
	for end < len(b) && end-at < most && inPath(b[end]) {
		end++
	}
	return string(b[start:end])
}
