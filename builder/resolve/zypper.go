package resolve

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// zypperScript lists the repositories, refreshes their metadata and downloads. The
// packages to install are the arguments. zypper has no option that points it at one
// more definition, so that ours is put beside the image's. The keys that the image's
// definitions name are trusted, and none that zypper would find in a repository
// itself (--gpg-auto-import-keys).
const zypperScript = `work=$1; shift
sed -n 's/^gpgkey *= *//p' /etc/zypp/repos.d/*.repo 2>/dev/null | tr ' ' '\n' | sort -u | while read -r key; do
	rpm --import -- "$key" >>"$work/keys.log" 2>&1
done
cp "$work/own.repo" /etc/zypp/repos.d/ohpc-build-own.repo || exit
zypper --non-interactive --xmlout repos --uri >"$work/repositories.xml" || exit
zypper --non-interactive --xmlout --cache-dir "$work/cache" refresh >"$work/refresh.xml" 2>&1 || exit 90
exec zypper --non-interactive --xmlout --cache-dir "$work/cache" --pkg-cache-dir "$work/packages" install \
	--download-only --no-recommends --auto-agree-with-licenses -- "$@" >"$work/install.xml" 2>"$work/install.err"
`

// What zypper's status says (zypper(8), EXIT CODES), and ours for a refresh.
const (
	zypperSolver     = 4
	zypperNoPackage  = 104
	refreshFailed    = 90
	repositoryFormat = "[" + ownRepository + "]\nname=" + ownRepository + "\nbaseurl=dir://" + inside + "/own\ntype=rpm-md\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\nautorefresh=1\npriority=50\n"
)

// zypperList is what is read of zypper's XML, in all of its forms.
type zypperList struct {
	Repositories []struct {
		Alias   string `xml:"alias,attr"`
		Enabled string `xml:"enabled,attr"`
		URL     string `xml:"url"`
	} `xml:"repo-list>repo"`
	Messages []zypperText `xml:"message"`
	Problems []zypperText `xml:"prompt>description"`
	Install  []solvable   `xml:"install-summary>to-install>solvable"`
	Upgrade  []solvable   `xml:"install-summary>to-upgrade>solvable"`
	Remove   []solvable   `xml:"install-summary>to-remove>solvable"`
}

type zypperText struct {
	Text string `xml:",chardata"`
}

type solvable struct {
	Type       string `xml:"type,attr"`
	Name       string `xml:"name,attr"`
	Edition    string `xml:"edition,attr"`
	Arch       string `xml:"arch,attr"`
	Repository string `xml:"repository,attr"`
}

func askZypper(ctx context.Context, q *question) (*answer, error) {
	if err := os.WriteFile(filepath.Join(q.dir, "own.repo"), []byte(repositoryFormat), 0o644); err != nil {
		return nil, err
	}
	output, err := q.run(ctx, append([]string{"/bin/sh", "-c", zypperScript, "zypper", inside}, q.install...)...)
	a := &answer{}
	if list, err := q.list("repositories.xml"); err == nil {
		for _, r := range list.Repositories {
			if r.Enabled == "1" && r.Alias != ownRepository {
				a.Repositories = append(a.Repositories, repository{ID: r.Alias, URL: r.URL})
			}
		}
	}
	list, listErr := q.list("install.xml")
	var exit *sandbox.ExitError
	if errors.As(err, &exit) {
		var said []string
		if exit.Code == refreshFailed {
			list, listErr = q.list("refresh.xml")
		}
		if listErr == nil {
			said = list.said()
		}
		text, _ := readAnswer(filepath.Join(q.dir, "install.err"))
		a.Kind, a.Message = "manager", strings.Join(append(said, string(text), output), "\n")
		switch exit.Code {
		case zypperSolver, zypperNoPackage:
			a.Kind = "unresolvable"
		case refreshFailed:
			a.Kind = "repository"
		default:
			a.Kind = "download"
		}
		return a, nil
	}
	if err != nil {
		return nil, q.failed(err, output)
	}
	if listErr != nil {
		return nil, fmt.Errorf("zypper's answer cannot be read: %w", listErr)
	}
	for _, s := range list.Remove {
		if !slices.ContainsFunc(list.Install, func(n solvable) bool { return n.Name == s.Name }) {
			a.Kind, a.Message = "unresolvable", "the package "+s.Name+" of the image would have to go"
			return a, nil
		}
	}
	return a, q.collect(a, append(list.Install, list.Upgrade...))
}

// said is why zypper stopped, in its words: a problem that it asks about, or else
// its messages.
func (l *zypperList) said() []string {
	var all []string
	texts := l.Problems
	if len(texts) == 0 {
		texts = l.Messages
	}
	for _, t := range texts {
		all = append(all, strings.TrimSpace(t.Text))
	}
	return all
}

func (q *question) list(file string) (*zypperList, error) {
	text, err := readAnswer(filepath.Join(q.dir, file))
	if err != nil {
		return nil, err
	}
	l := &zypperList{}
	return l, xml.Unmarshal(text, l)
}

// collect finds the files of what zypper chose, below a folder for each repository.
// Which package a file is, it says itself.
func (q *question) collect(a *answer, chosen []solvable) error {
	files := map[string]string{} // by name-edition.arch
	root := filepath.Join(q.dir, "packages")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(path, ".rpm") {
			return err
		}
		p, err := rpm.ReadFile(path)
		if err != nil {
			return &RepositoryError{Job: q.Job, What: "a downloaded package is of no use", Repositories: a.looked(), Err: err}
		}
		rel, err := filepath.Rel(root, path)
		files[p.NEVRA()] = rel
		return err
	})
	if err != nil {
		return err
	}
	for i, s := range chosen {
		if s.Type != "package" {
			continue
		}
		f := found{Name: s.Name, EVR: strings.TrimPrefix(s.Edition, "0:"), Arch: s.Arch, Repository: s.Repository}
		rel, there := files[f.Name+"-"+f.EVR+"."+f.Arch]
		if !there && s.Repository == ownRepository {
			f.Location = f.Name + "-" + withoutEpoch(f.EVR) + "." + f.Arch + ".rpm"
			a.Packages = append(a.Packages, f)
			continue
		}
		if !there {
			return &RepositoryError{Job: q.Job, What: "package " + f.Name, Repositories: a.looked(), Err: fmt.Errorf("zypper did not leave %s-%s.%s of %s", f.Name, f.EVR, f.Arch, f.Repository)}
		}
		alias, location, _ := strings.Cut(filepath.ToSlash(rel), "/")
		if f.Repository = alias; alias == ownRepository {
			f.Location = location
			a.Packages = append(a.Packages, f)
			continue
		}
		for _, r := range a.Repositories {
			if r.ID == alias {
				f.URL = strings.TrimSuffix(r.URL, "/") + "/" + location
			}
		}
		f.File = fmt.Sprintf("%d.rpm", i)
		if err := os.Rename(filepath.Join(root, rel), filepath.Join(root, f.File)); err != nil {
			return err
		}
		a.Packages = append(a.Packages, f)
	}
	return nil
}
