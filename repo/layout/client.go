package layout

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// Repo is one section of a client's .repo file.
type Repo struct {
	ID   string // "OpenHPC"
	Name string // for people

	// Mirrorlist is the URL of the file that names the snapshot. A client reads it
	// once and stays in that snapshot, whatever is published meanwhile. BaseURL is
	// for a repository that does not change. One of the two is set.
	Mirrorlist, BaseURL string

	GPGKey   string // URL of the public key; file:/// where a package has installed it
	Optional bool   // dnf goes on without it when it cannot be had
}

var repoID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// RepoFile renders a .repo file for dnf, yum and zypper. Packages and metadata
// are both checked against the key: zypper, once it trusts the metadata, would
// otherwise install packages without looking at their signatures, hence
// pkg_gpgcheck, which dnf and yum ignore.
//
// What clients keep of a mirrorlist and its metadata must expire well before
// the snapshot is removed (see channel.DefaultRetain): dnf would keep it for two
// days, zypper, without autorefresh, until it is told to refresh.
func RepoFile(repos ...Repo) ([]byte, error) {
	var b bytes.Buffer
	for i, r := range repos {
		if !repoID.MatchString(r.ID) {
			return nil, fmt.Errorf("writing a .repo file: %q cannot name a repository", r.ID)
		}
		key, from := "mirrorlist", r.Mirrorlist
		if from == "" {
			key, from = "baseurl", r.BaseURL
		}
		for _, value := range []string{r.Name, from, r.GPGKey} {
			if value == "" || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value {
				return nil, fmt.Errorf("writing a .repo file: repository %s has the value %q", r.ID, value)
			}
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\nname=%s\n%s=%s\nenabled=1\nautorefresh=1\nmetadata_expire=6h\n", r.ID, r.Name, key, from)
		fmt.Fprintf(&b, "gpgcheck=1\nrepo_gpgcheck=1\npkg_gpgcheck=1\ngpgkey=%s\n", r.GPGKey)
		if r.Optional {
			b.WriteString("skip_if_unavailable=1\n")
		}
	}
	return b.Bytes(), nil
}

// ClientFile is the .repo file for a channel's clients. base is where they find
// the root, keyURL where they find the public key: empty for the copy beside the
// packages. Whoever uses the release gets its updates too.
func ClientFile(base *url.URL, p Pointer, keyURL string) ([]byte, error) {
	if keyURL == "" {
		keyURL = base.JoinPath(p.Link(), KeyFile(p.Release)).String()
	}
	section := func(c Channel) Repo {
		r := Repo{
			ID: Product, Name: Product + " " + p.Release + " - " + p.Target,
			Mirrorlist: base.JoinPath(Pointer{p.Release, c, p.Target}.Mirrorlist()).String(), GPGKey: keyURL,
		}
		if c != Release {
			r.ID += "-" + strings.ReplaceAll(string(c), "/", "-")
			r.Name += " - " + string(c)
		}
		return r
	}
	repos := []Repo{section(p.Channel)}
	if p.Channel == Release {
		updates := section(Updates)
		updates.Optional = true
		repos = append(repos, updates)
	}
	return RepoFile(repos...)
}
