package publish

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Repo is one section of a client's .repo file.
type Repo struct {
	ID      string // "OpenHPC"
	Name    string // for people
	BaseURL string
	GPGKey  string // URL of the public key; file:/// where a package has installed it
}

// RepoFileName is what the .repo file is called beside the packages and on
// clients.
const RepoFileName = product + ".repo"

var repoID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// RepoFile renders a .repo file for dnf, yum and zypper. Packages and metadata
// are both checked against the key: zypper, once it trusts the metadata, would
// otherwise install packages without looking at their signatures, hence
// pkg_gpgcheck, which dnf and yum ignore.
func RepoFile(repos ...Repo) ([]byte, error) {
	var b bytes.Buffer
	for i, r := range repos {
		if !repoID.MatchString(r.ID) {
			return nil, fmt.Errorf("writing a .repo file: %q cannot name a repository", r.ID)
		}
		for _, value := range []string{r.Name, r.BaseURL, r.GPGKey} {
			if value == "" || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value {
				return nil, fmt.Errorf("writing a .repo file: repository %s has the value %q", r.ID, value)
			}
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\npkg_gpgcheck=1\ngpgkey=%s\n", r.ID, r.Name, r.BaseURL, r.GPGKey)
	}
	return b.Bytes(), nil
}

// Repo is the section for the target. keyURL is where its public key is found:
// empty for the copy beside the packages.
func (s Spec) Repo(keyURL string) (Repo, error) {
	base, err := s.url()
	if err != nil {
		return Repo{}, err
	}
	if keyURL == "" {
		keyURL = base + "/" + KeyFile(s.Release)
	}
	return Repo{ID: product, Name: product + " " + s.Release + " - " + s.Target, BaseURL: base, GPGKey: keyURL}, nil
}
