package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Parts is everything that can change a job's output: the name of each part and
// the digest, or short text, that stands for its content. Names are made by the
// functions below.
type Parts map[string]string

// The names of parts that have no name of their own.
const (
	PartBuilder = "builder"      // the builder's format version
	PartImage   = "image"        // the image's digest
	PartSpec    = "spec"         // the spec's digest
	PartNative  = "native-tools" // the native programs that do the work of an emulated build
)

// PartSource names a file that lies beside the spec.
func PartSource(file string) string { return "source " + file }

// PartDefine names a macro given to rpmbuild.
func PartDefine(macro string) string { return "define " + macro }

// PartDependency names a package of ours in the build root.
func PartDependency(recipe, file string) string { return "dependency " + recipe + " " + file }

// Key is the digest of all parts, in the order of their names.
func (p Parts) Key() store.Digest {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(p)) {
		// Lengths before contents: no two different maps write the same bytes.
		fmt.Fprintf(h, "%d %s %d %s\n", len(name), name, len(p[name]), p[name])
	}
	return store.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// With is p and more.
func (p Parts) With(more Parts) Parts {
	all := maps.Clone(p)
	maps.Copy(all, more)
	return all
}

// Reasons. The others name what changed; see [Explain].
const (
	ReasonReused = "reused"
	ReasonNew    = "new"
)

// Explain says in a few words why a job with these parts must run, given the
// parts with which it ran last (nil: never).
func Explain(last, now Parts) string {
	if last == nil {
		return ReasonNew
	}
	var changed []string
	dependencies := map[string]int{}
	for name := range union(last, now) {
		if last[name] == now[name] {
			continue
		}
		kind, rest, _ := strings.Cut(name, " ")
		switch kind {
		case "dependency":
			recipe, _, _ := strings.Cut(rest, " ")
			dependencies[recipe]++
		case "source", "define":
			changed = append(changed, changeOf(kind, last, now, name)+": "+rest)
		default:
			changed = append(changed, kind+" changed")
		}
	}
	for recipe, n := range dependencies {
		files := "files differ"
		if n == 1 {
			files = "file differs"
		}
		changed = append(changed, fmt.Sprintf("dependency changed: %s (%d %s)", recipe, n, files))
	}
	if len(changed) == 0 {
		return "its result is no longer in the store"
	}
	slices.Sort(changed)
	return strings.Join(changed, ", ")
}

func changeOf(kind string, last, now Parts, name string) string {
	_, before := last[name]
	_, after := now[name]
	switch {
	case !before:
		return kind + " added"
	case !after:
		return kind + " removed"
	}
	return kind + " changed"
}

func union(a, b Parts) map[string]struct{} {
	names := map[string]struct{}{}
	for name := range a {
		names[name] = struct{}{}
	}
	for name := range b {
		names[name] = struct{}{}
	}
	return names
}
