package create

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Retain says which files of old metadata stay, for readers that are not done
// with them. Files that no metadata name stay in any case.
type Retain struct {
	All     bool          // everything
	Newest  int           // so many of each kind of data file, by their times
	Younger time.Duration // what is not older than that
}

var (
	// ofPackage tells data files that are made of packages.
	ofPackage = regexp.MustCompile(`^([0-9a-f]{32,128}-)?(primary|filelists|other)(\.xml|\.sqlite|_db|_zck)?(\.[a-z0-9]+)?$`)
	// signature tells files that belong to one repomd.xml.
	signature = regexp.MustCompile(`^repomd\.xml(\.[a-z]+)?$`)
)

// ofPackages says whether a type of data is made of packages.
func ofPackages(kind string) bool { return ofPackage.MatchString(kind) }

// replaces says whether a new document takes the place of an old one: of a
// group, of its compressed form too.
func replaces(kind, old string) bool {
	return old == kind || strings.HasPrefix(old, kind+"_")
}

// files are the names of files in the old repodata that the new one is to have too.
func (r Retain) files(dir string, old *rpmmd.Repomd) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	current := map[string]bool{}
	if old != nil {
		for _, d := range old.Data {
			current[path.Base(d.Location)] = true
		}
	}
	var kept []string
	data := map[string][]fs.FileInfo{}
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || signature.MatchString(name) || strings.HasPrefix(name, ".") {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			return nil, err
		}
		m := ofPackage.FindStringSubmatch(name)
		switch {
		case r.All || r.Younger > 0 && time.Since(fi.ModTime()) <= r.Younger:
			kept = append(kept, name)
		case m != nil:
			data[m[2]+m[3]] = append(data[m[2]+m[3]], fi)
		case !current[name]:
			kept = append(kept, name)
		}
	}
	for _, files := range data {
		slices.SortFunc(files, func(a, b fs.FileInfo) int {
			// Those of the present metadata are the newest, whatever their times.
			if ca, cb := current[a.Name()], current[b.Name()]; ca != cb {
				if ca {
					return -1
				}
				return 1
			}
			return b.ModTime().Compare(a.ModTime())
		})
		for _, fi := range files[:min(r.Newest, len(files))] {
			kept = append(kept, fi.Name())
		}
	}
	return kept, nil
}
