package layout

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Channel is a named pointer to a snapshot of each target.
type Channel string

// The channels; those of pull requests are named pr/<number>. They are a fixed
// set because a channel's folder lies beside the targets'.
const (
	Release Channel = "release"
	Updates Channel = "updates"
	Staging Channel = "staging"
	Factory Channel = "factory"
)

// Pulls is the folder of pull requests' channels.
const Pulls = "pr"

var pullRequest = regexp.MustCompile(`^` + Pulls + `/[1-9][0-9]{0,8}$`)

// ParseChannel reads a channel's name.
func ParseChannel(name string) (Channel, error) {
	c := Channel(name)
	if slices.Contains([]Channel{Release, Updates, Staging, Factory}, c) || pullRequest.MatchString(name) {
		return c, nil
	}
	return "", fmt.Errorf("%q is no channel: there are %s, %s, %s, %s and %s/<number>", name, Release, Updates, Staging, Factory, Pulls)
}

// Folders and files of a published tree. All paths here are slash-separated and
// relative to its root.
const (
	Product      = "OpenHPC"
	Snapshots    = "snapshots"
	RepoFileName = Product + ".repo" // in a snapshot, and on clients

	Private  = ".channels" // what publishers keep for themselves: history, journal, lock
	LockFile = Private + "/lock"

	MirrorlistSuffix = ".mirrorlist"
	repoSuffix       = ".repo"
	statusSuffix     = ".status.json"
	keyFilePrefix    = "RPM-GPG-KEY-"
)

// SnapshotDir is a snapshot's folder; without an id that of a target's snapshots.
func SnapshotDir(target, id string) string { return path.Join(Snapshots, target, id) }

// StandingFile is what publishers noted of a snapshot's standing. Beside the snapshot
// it would change what never changes.
func StandingFile(target, id string) string {
	// A release's name does not begin with a dot.
	return path.Join(Private, ".standing", target, id+".json")
}

// KeyFile is the name of a release's public key file.
func KeyFile(release string) string {
	major, _, _ := strings.Cut(release, ".")
	return keyFilePrefix + Product + "-" + major
}

// IsKeyFile tells the names of public key files.
func IsKeyFile(name string) bool { return strings.HasPrefix(name, keyFilePrefix) }

// Pointer is what clients follow: a channel's name for one target.
type Pointer struct {
	Release string // "3" or "3.2"
	Channel Channel
	Target  string // "EL_9"
}

func (p Pointer) String() string { return p.Target + " " + p.Release + " " + string(p.Channel) }

// word is a name that becomes a folder's. Beginning with a letter or a digit it
// is neither hidden nor a way out.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// IsWord tells whether a release, a target or an architecture can be a folder's
// name.
func IsWord(name string) bool { return word.MatchString(name) }

// Check refuses names that lead elsewhere or stand for something else.
func (p Pointer) Check() error {
	if !IsWord(p.Release) {
		return fmt.Errorf("release %q cannot be a folder's name", p.Release)
	}
	if _, err := ParseChannel(string(p.Channel)); err != nil {
		return err
	}
	return CheckTarget(p.Target)
}

// CheckTarget refuses names that no target can have. On some file systems, and
// behind some servers, names that differ only by case are one.
func CheckTarget(name string) error {
	if !IsWord(name) {
		return fmt.Errorf("target %q cannot be a folder's name", name)
	}
	folded := strings.ToLower(name)
	for _, c := range []string{string(Release), string(Updates), string(Staging), string(Factory), Pulls} {
		if folded == c {
			return fmt.Errorf("target %q has the name of a channel", name)
		}
	}
	if strings.HasSuffix(folded, MirrorlistSuffix) || strings.HasSuffix(folded, repoSuffix) || strings.HasSuffix(folded, statusSuffix) {
		return fmt.Errorf("target %q has the name of a client's file", name)
	}
	return nil
}

// Link is the name that a plain baseurl uses: a symbolic link to the snapshot.
func (p Pointer) Link() string {
	if p.Channel == Release {
		return path.Join(Product, p.Release, p.Target)
	}
	return path.Join(Product, p.Release, string(p.Channel), p.Target)
}

// Mirrorlist is the file whose one line is the snapshot's URL.
func (p Pointer) Mirrorlist() string { return p.Link() + MirrorlistSuffix }

// RepoFile is the .repo file for the channel's clients.
func (p Pointer) RepoFile() string { return p.Link() + repoSuffix }

// StatusFile tells the standing of the snapshot's cells, for people and programs.
func (p Pointer) StatusFile() string { return p.Link() + statusSuffix }

// ParseURL reads the address under which clients find the root.
func ParseURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || !slices.Contains([]string{"http", "https", "file"}, u.Scheme) || u.RawQuery != "" || u.Fragment != "" || u.Path == "" && u.Host == "" {
		return nil, fmt.Errorf("base URL %q: expected http://…, https://… or file:///…", base)
	}
	return u, nil
}

// MirrorlistFile is what a mirrorlist holds: the URL of the current snapshot, then
// those of earlier ones.
//
// dnf and zypper read it again when they download packages, with the metadata
// that they had before (librepo's handle for packages is another one than that
// for metadata): when something was published in between, a package that is gone
// from the current snapshot is found in an earlier one. Both try the lines in
// their order, so metadata come from the first.
func MirrorlistFile(base *url.URL, target, id string, earlier ...string) []byte {
	var b strings.Builder
	for _, id := range append([]string{id}, earlier...) {
		b.WriteString(base.JoinPath(SnapshotDir(target, id)).String() + "/\n")
	}
	return []byte(b.String())
}

// ParseMirrorlist returns the ids of the snapshots that a target's mirrorlist
// names, the current one first.
func ParseMirrorlist(b []byte, target string) ([]string, error) {
	var ids []string
	for line := range strings.Lines(string(b)) {
		u, err := url.Parse(strings.TrimSuffix(line, "\n"))
		if err != nil || !strings.HasSuffix(line, "/\n") {
			return nil, errors.New("the mirrorlist has a line that is no snapshot's URL")
		}
		id := path.Base(u.Path)
		if !IsID(id) || !strings.HasSuffix(u.Path, "/"+SnapshotDir(target, id)+"/") {
			return nil, fmt.Errorf("the mirrorlist names %q, which is no snapshot of %s", line, target)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, errors.New("the mirrorlist is empty")
	}
	return ids, nil
}

var id = regexp.MustCompile(`^[0-9a-f]{32}$`)

// IsID tells whether a name can be a snapshot's.
func IsID(name string) bool { return id.MatchString(name) }

// Guarded tells whether people rely on a channel: packages do not go there, get
// older, or change without a new version. Factory and pull requests come and go.
func (c Channel) Guarded() bool { return c == Release || c == Updates || c == Staging }
