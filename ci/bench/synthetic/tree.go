package synthetic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// breed is a component of the small tree that is multiplied.
type breed struct {
	group, name, class string // class is the list of misc/obs/config that names it
	needs              string // how a copy names another one that it requires to be built
}

// breeds in about the shares of the real tree: few components are standalone, and
// those that are built with each MPI library make most jobs.
var breeds = []breed{
	{"dev-tools", "hwloc", "standalone", "%s%%{PROJ_DELIM}"},
	{"serial-libs", "gsl", "compiler_dependent", "%s-%%{compiler_family}%%{PROJ_DELIM}"},
	{"parallel-libs", "boost", "mpi_dependent", "%s-%%{compiler_family}-%%{mpi_family}%%{PROJ_DELIM}"},
}

// obsConfig says which components there are, and in which variants.
const obsConfig = "misc/obs/config.2.x"

// Tree copies the small tree to dir, where nothing is yet, and multiplies some of
// its components until there are about n more.
func Tree(small, dir string, n int) error {
	if err := CopyTree(small, dir); err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(obsConfig))
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(config)
	for _, b := range breeds {
		copies, err := b.multiply(dir, n/len(breeds))
		if err != nil {
			return fmt.Errorf("multiplying %s: %w", b.name, err)
		}
		for _, list := range []string{b.group, b.class} {
			if text, err = extend(text, list, copies); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// multiply makes n copies. Each requires the one of half its number, so that the
// plan has levels as a real one has.
func (b breed) multiply(dir string, n int) ([]string, error) {
	folder := filepath.Join(dir, "components", b.group)
	text, err := os.ReadFile(filepath.Join(folder, b.name, "SPECS", b.name+".spec"))
	if err != nil {
		return nil, err
	}
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(b.name) + `\b`)
	var names []string
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("%s%02d", b.name, i)
		spec := word.ReplaceAllString(string(text), name)
		if i > 1 {
			need := fmt.Sprintf(b.needs, fmt.Sprintf("%s%02d", b.name, i/2))
			spec = strings.Replace(spec, "\nLicense:", "\nBuildRequires: "+need+"\nLicense:", 1)
		}
		specs := filepath.Join(folder, name, "SPECS")
		if err := os.MkdirAll(specs, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(specs, name+".spec"), []byte(spec), 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// extend adds names to the first list of that name, which is one of all releases
// or of the newest.
func extend(config, list string, names []string) (string, error) {
	at := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(list) + `\s*=\s*\[`).FindStringIndex(config)
	if at == nil {
		return "", errors.New("there is no list " + list)
	}
	var sb strings.Builder
	for _, name := range names {
		fmt.Fprintf(&sb, "%q,", name)
	}
	return config[:at[1]] + sb.String() + config[at[1]:], nil
}

// CopyTree copies what a plan is made of, an OpenHPC tree's components and their
// configuration, to dir.
func CopyTree(from, dir string) error {
	for _, part := range []string{"components", "misc"} {
		if err := copyFolder(filepath.Join(from, part), filepath.Join(dir, part)); err != nil {
			return fmt.Errorf("copying the tree %s: %w", from, err)
		}
	}
	return nil
}

func copyFolder(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// CountSpecs is how many specs a tree has, dead ones too.
func CountSpecs(tree string) (int, error) {
	n := 0
	err := filepath.WalkDir(filepath.Join(tree, "components"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && filepath.Ext(path) == ".spec" {
			n++
		}
		return err
	})
	return n, err
}
