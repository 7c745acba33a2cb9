package cache

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Groups are what people are told about, in the order of the list.
const (
	groupImages   = "images"
	groupLayers   = "image layers"
	groupRoots    = "build roots"
	groupSources  = "sources"
	groupDepends  = "dependencies"
	groupPackages = "packages and logs"
	groupSigned   = "signed packages"
	groupAnswers  = "answers"
	groupMemory   = "memory"
	groupOther    = "other files"
)

// What is made anew in a moment goes before what takes an hour, when both were last
// used on the same day. Superseded results go before everything else.
const (
	rankSuperseded = iota
	rankLoose      // objects that no record names
	rankRoot
	rankLayer
	rankSource
	rankSigned
	rankResult
	rankImage  // made anew of a mirror that has moved, it makes all results worthless
	rankAnswer // small, and thousands of them are minutes of rpmspec's time
)

// kind is what the program knows of a kind of records.
type kind struct {
	group string
	rank  int
	keep  bool // never removed

	// references are the objects without which a record is worth nothing, and the
	// layers that it stands for; nil when there are none.
	references func(json.RawMessage) (references, error)

	// mentions says that a record names objects by which they can be told for
	// sources, but does not need them.
	mentions bool
}

type references struct {
	objects []store.Digest
	layers  []string // below the state folder
}

// kinds are all records that any part of the program keeps. A test compares it with
// the program's source.
var kinds = map[string]kind{
	"image":          {group: groupImages, rank: rankImage, references: ofImage},
	"image-provides": {group: groupAnswers, rank: rankAnswer, references: ofAll},
	"image-packages": {group: groupAnswers, rank: rankAnswer, references: ofAll},
	"buildroot":      {group: groupRoots, rank: rankRoot, references: ofRoot},
	"results":        {group: groupPackages, rank: rankResult, references: ofAll},
	"signed":         {group: groupSigned, rank: rankSuperseded, references: ofAll}, // of earlier versions
	"signed-2":       {group: groupSigned, rank: rankSigned, references: ofAll},
	"source-made-1":  {group: groupSources, rank: rankSource, references: ofAll},
	"resolved":       {group: groupDepends, rank: rankSource, references: ofPackages},
	"spec-sources":   {group: groupSources, rank: rankSource, references: ofAll},
	"spec":           {group: groupAnswers, rank: rankAnswer},
	"checks":         {group: groupAnswers, rank: rankAnswer},
	"content":        {group: groupAnswers, rank: rankAnswer},
	"durations":      {group: groupMemory, rank: rankSuperseded}, // of earlier versions
	"ran":            {group: groupMemory, rank: rankAnswer},
	"parts":          {group: groupMemory, rank: rankAnswer, mentions: true},
	// The first digest of an address is all that vouches for what comes from it.
	"addresses": {group: groupMemory, keep: true, mentions: true},
}

// unknown is a kind of another version of the program: all that its records name
// is kept with them.
var unknown = kind{group: groupMemory, keep: true, references: ofAll}

func kindOf(name string) kind {
	if k, ok := kinds[name]; ok {
		return k
	}
	return unknown
}

var digestPattern = regexp.MustCompile(`"sha256:[0-9a-f]{64}"`)

// ofAll takes each digest in a record for an object that it needs.
func ofAll(raw json.RawMessage) (references, error) {
	var r references
	for _, quoted := range digestPattern.FindAll(raw, -1) {
		r.objects = append(r.objects, store.Digest(strings.Trim(string(quoted), `"`)))
	}
	return r, nil
}

// ofPackages knows what package resolve answers: where a package comes from has
// digests too, but nothing that is kept.
func ofPackages(raw json.RawMessage) (references, error) {
	var packages []struct{ Digest store.Digest }
	if err := json.Unmarshal(raw, &packages); err != nil {
		return references{}, fmt.Errorf("reading a record of packages: %w", err)
	}
	var r references
	for _, p := range packages {
		r.objects = append(r.objects, p.Digest)
	}
	return r, nil
}

// ofImage knows what package image keeps.
func ofImage(raw json.RawMessage) (references, error) {
	var img struct {
		Digest   store.Digest
		Manifest store.Digest
		Layers   []struct {
			Blob   store.Digest
			DiffID store.Digest `json:"diff_id"`
		}
	}
	if err := json.Unmarshal(raw, &img); err != nil {
		return references{}, fmt.Errorf("reading an image's record: %w", err)
	}
	r := references{objects: []store.Digest{img.Digest, img.Manifest}}
	for _, l := range img.Layers {
		r.objects = append(r.objects, l.Blob)
		r.layers = append(r.layers, filepath.Join(imageLayers, l.DiffID.Hex()))
	}
	return r, nil
}

// ofRoot knows what package buildroot keeps.
func ofRoot(raw json.RawMessage) (references, error) {
	var root struct{ Layers []string }
	if err := json.Unmarshal(raw, &root); err != nil {
		return references{}, fmt.Errorf("reading a build root's record: %w", err)
	}
	var r references
	for _, l := range root.Layers {
		r.layers = append(r.layers, filepath.Join(rootLayers, filepath.Base(l)))
	}
	return r, nil
}
