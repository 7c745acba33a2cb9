package serve

import (
	"cmp"
	_ "embed"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// page is what a person sees of a folder.
type page struct {
	Title        string
	Path         []crumb
	Repository   *repository // this folder is one
	Repositories []string    // paths of those below, told on the first page
	Entries      []entry
}

type crumb struct{ Name, Link string }

type entry struct {
	Name, Link, Size, Time string
	Folder                 bool
}

// repository is what a client must be told to use one.
type repository struct {
	URL     string
	RepoURL string // of its definition for clients; empty: there is none
	KeyURL  string
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page sends the page of a folder.
func (t *Tree) page(w http.ResponseWriter, r *http.Request, name string, dir *os.File) {
	here, ok := t.here(r)
	if !ok {
		http.Error(w, "the Host header names no host", http.StatusBadRequest)
		return
	}
	all, err := names(dir)
	if err != nil {
		t.refuse(w, name, err)
		return
	}
	p := page{Title: "/" + strings.TrimPrefix(name, "."), Path: crumbs(name)}
	if t.isRepository(name) {
		at := here + "/" + (&url.URL{Path: name}).EscapedPath()
		p.Repository = &repository{URL: at}
		// A channel's definition lies beside its name, because the folder itself is a
		// snapshot, which may be other channels' too.
		if fi, err := t.root.Stat(name + ".repo"); err == nil && fi.Mode().IsRegular() && name != "." {
			p.Repository.RepoURL = at + ".repo"
		}
	}
	if name == "." {
		p.Repositories = t.repositories(".", depth, nil)
	}
	for _, e := range all {
		fi, err := t.root.Stat(path.Join(name, e.Name())) // where a link leads
		if err != nil {
			continue // gone meanwhile, or a link out of the tree
		}
		row := entry{Name: e.Name(), Link: (&url.URL{Path: "./" + e.Name()}).String(), Folder: fi.IsDir()}
		if row.Folder {
			row.Name += "/"
			row.Link += "/"
		} else {
			row.Size = size(fi.Size())
		}
		row.Time = fi.ModTime().UTC().Format("2006-01-02 15:04")
		p.Entries = append(p.Entries, row)
		if p.Repository != nil {
			switch {
			case path.Ext(e.Name()) == ".repo":
				p.Repository.RepoURL = cmp.Or(p.Repository.RepoURL, p.Repository.URL+"/"+e.Name())
			case layout.IsKeyFile(e.Name()):
				p.Repository.KeyURL = cmp.Or(p.Repository.KeyURL, p.Repository.URL+"/"+e.Name())
			}
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("Cache-Control", "no-cache")
	if r.Method == http.MethodHead {
		return
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		t.log.Warn("sending a page", "folder", name, "error", err)
	}
}

func crumbs(name string) []crumb {
	if name == "." {
		return nil
	}
	parts := strings.Split(name, "/")
	all := make([]crumb, len(parts))
	for i, part := range parts {
		all[i] = crumb{Name: part, Link: "./" + strings.Repeat("../", len(parts)-1-i)}
	}
	return all
}

func (t *Tree) isRepository(name string) bool {
	fi, err := t.root.Stat(path.Join(name, "repodata", "repomd.xml"))
	return err == nil && fi.Mode().IsRegular()
}

// Bounds of the search for repositories: OpenHPC/<release>/pr/<number>/<target>
// is the deepest.
const (
	depth           = 5
	maxRepositories = 200
)

// repositories finds those that clients may use by a lasting name, below dir.
func (t *Tree) repositories(dir string, depth int, found []string) []string {
	f, err := t.root.Open(dir)
	if err != nil {
		return found
	}
	defer f.Close()
	all, err := names(f)
	if err != nil {
		return found
	}
	for _, e := range all {
		name := path.Join(dir, e.Name())
		if name == layout.Snapshots || len(found) >= maxRepositories || e.Type()&fs.ModeSymlink == 0 && !e.IsDir() {
			continue
		}
		if t.isRepository(name) {
			found = append(found, name)
		} else if e.IsDir() && depth > 1 {
			found = t.repositories(name, depth-1, found)
		}
	}
	slices.Sort(found)
	return found
}

// size is a number of bytes as people read it.
func size(n int64) string {
	const units = "KMGT"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), byte(0)
	for i := 0; i < len(units) && f >= 1024; i++ {
		f, unit = f/1024, units[i]
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + string(unit) + "iB"
}
