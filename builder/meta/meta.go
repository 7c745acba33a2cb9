package meta

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
)

// Format is part of what the key of such a job is made of. It grows when the same
// Spec gives other packages.
const Format = "meta-1"

// Spec is a meta-package: what its spec says, and the spec itself, which only the
// source package holds. Nobody compares the two: both come from one recipe.
type Spec struct {
	Name, Version string
	Release       string // with what %{?dist} stands for
	Arch          string // as rpm names it, or noarch
	Summary       string
	Description   string
	License       string
	Group, URL    string   // optional
	Requires      []string // each as after "Requires:"

	// Date is the day of the changelog's one entry, in UTC, and with it of
	// everything that has a time. Author and Change are what the entry says:
	// "name - version-release" and "- text".
	Date           time.Time
	Author, Change string

	SpecName string // a file's name
	SpecText []byte
}

// buildHost is what every package of ours says (see the macros that package
// builder gives to rpmbuild).
const buildHost = "ohpc-build"

// log stands where other results have what rpmbuild printed.
const log = "A meta-package is written from its list of requirements; rpmbuild did not run.\n"

// Build makes the packages and keeps them in st, unsigned. An error tells what in
// the description rpm would not accept.
func Build(ctx context.Context, st *store.Store, spec Spec) (*builder.Result, error) {
	begin := time.Now()
	files, err := spec.files()
	if err != nil {
		return nil, fmt.Errorf("meta-package %s: %w", spec.Name, err)
	}
	result := &builder.Result{}
	for _, f := range files {
		d, err := st.PutBytes(ctx, f.data)
		if err != nil {
			return nil, fmt.Errorf("meta-package %s: keeping %s: %w", spec.Name, f.name, err)
		}
		result.Packages = append(result.Packages, buildroot.Package{File: f.name, Digest: d})
	}
	if result.Log, err = st.PutBytes(ctx, []byte(log)); err != nil {
		return nil, fmt.Errorf("meta-package %s: keeping the log: %w", spec.Name, err)
	}
	result.Seconds = time.Since(begin).Round(time.Millisecond).Seconds()
	return result, nil
}

// file is a package with the name that rpmbuild gives it.
type file struct {
	name string
	data []byte
}

// files are the packages in order of their names.
func (s Spec) files() ([]file, error) {
	both, err := s.common()
	if err != nil {
		return nil, err
	}
	source := both
	source.Source = true
	if s.Arch == "noarch" {
		source.BuildArchs = []string{"noarch"}
	}
	source.Files = []write.File{{Path: s.SpecName, Flags: rpm.FileSpec, Data: s.SpecText}}
	sourceFile, id, err := written(source)
	if err != nil {
		return nil, err
	}
	binary := both
	binary.SourceRPM, binary.SourceID = sourceFile.name, id
	for _, text := range s.Requires {
		d, err := write.ParseDependency(text)
		if err != nil {
			return nil, fmt.Errorf("what it requires: %w", err)
		}
		binary.Requires = append(binary.Requires, d)
	}
	binaryFile, _, err := written(binary)
	if err != nil {
		return nil, err
	}
	files := []file{sourceFile, binaryFile}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return files, nil
}

// common is what both packages say of themselves.
func (s Spec) common() (write.Package, error) {
	if s.Date.IsZero() {
		return write.Package{}, errors.New("it has no date")
	}
	day := s.Date.UTC().Truncate(24 * time.Hour)
	return write.Package{
		Name: s.Name, Version: s.Version, Release: s.Release, Arch: s.Arch,
		Summary: strings.TrimSpace(s.Summary), Description: trimLines(s.Description),
		License: s.License, Group: s.Group, URL: s.URL,
		BuildTime: day, BuildHost: buildHost,
		// rpm takes a changelog's dates for noon, so that they are the same day
		// everywhere.
		Changelog: []rpm.Change{{Time: day.Add(12 * time.Hour).Unix(), Author: s.Author, Text: s.Change}},
	}, nil
}

// trimLines takes away what rpm does not take for part of a description.
func trimLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRightFunc(line, unicode.IsSpace)
	}
	return strings.Join(lines, "\n")
}

// written is a package's file, and the id that a source package is known by to
// what is built from it.
func written(p write.Package) (file, []byte, error) {
	var b bytes.Buffer
	if err := write.Write(&b, p); err != nil {
		return file{}, nil, err
	}
	q, err := rpm.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return file{}, nil, fmt.Errorf("reading back what was written: %w", err)
	}
	return file{q.FileName(), b.Bytes()}, q.SignatureHeader().Binary(rpm.SigMD5), nil
}
