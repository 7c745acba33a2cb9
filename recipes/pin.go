package recipes

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Pin is an upstream source tree that is followed between its releases: a git
// repository, and the commit of it that all recipes of the tree are built from.
// It is the file pins/<name>.yaml, of which people write the first keys and
// `ohpc-build recipe bump` the lock.
type Pin struct {
	Name   string `yaml:"-"`            // the file's, without .yaml
	URL    string `yaml:"url,required"` // https, http, ssh or git address of the repository, or a folder of this machine
	Branch string `yaml:"branch"`       // followed when bump is not told otherwise
	Next   string `yaml:"next"`         // the release that the tree is on its way to; left out after a release
	Lock   *Lock  `yaml:"lock"`         // the commit it is at; written by ohpc-build recipe bump, and not to be edited
}

// Lock is the commit that a pin is at, and what its version is made of.
type Lock struct {
	Commit  string    `yaml:"commit,required"`  // 40 hexadecimal digits
	Date    Timestamp `yaml:"date,required"`    // when it was committed
	Tag     string    `yaml:"tag"`              // the newest release in its history; empty when there is none
	Since   int       `yaml:"since,required"`   // commits in its history that are not in the tag's
	Total   int       `yaml:"total,required"`   // all commits in its history, itself included
	Version string    `yaml:"version,required"` // what specs have as %{pin_version}
}

// Timestamp is a second in UTC, written 2017-08-29T12:00:00Z.
type Timestamp struct{ time.Time }

// UnmarshalText accepts a time in UTC.
func (t *Timestamp) UnmarshalText(text []byte) error {
	v, err := time.Parse(time.RFC3339, string(text))
	if err != nil || v.UTC().Format(time.RFC3339) != string(text) {
		return fmt.Errorf("must be a time in UTC such as 2017-08-29T12:00:00Z, not %q", text)
	}
	t.Time = v.UTC()
	return nil
}

// Versions are the two versions that a commit can have as a snapshot:
//
//	3.8~git20170829.74ad08d      3.8~1207.git20170829.74ad08d    before a release, Next
//	3.7^git20170829.74ad08d      3.7^12.git20170829.74ad08d      after one, the tag's
//
// The plain one is for a history in which the day alone tells which of two
// commits came first, and the counted one for every other: it has the number of
// commits since the tag, or before a release all of them, because that number
// must not start anew when an older release gets another tag. rpm takes digits
// to be newer than letters, so that a history that stops being that simple goes
// on upwards. A released commit has the release's version for both, and a tree
// without any release is on its way to 0.
//
// Of a commit and one that follows it the later one's version is the newer one,
// when Next was raised in between or stayed the same; and when, with a Next, the
// earlier one is not from before the last release, for which Next was another.
func (l *Lock) Versions(next string) (plain, counted string, err error) {
	base := ""
	if l.Tag != "" {
		var ok bool
		if base, ok = TagVersion(l.Tag); !ok {
			return "", "", fmt.Errorf("tag %q does not name a version", l.Tag)
		}
	}
	if base != "" && l.Since == 0 && (!coming(base, next) || !strings.Contains(base, "~")) {
		return base, base, nil
	}
	prefix, count := base+"^", l.Since
	switch {
	case coming(base, next):
		prefix, count = next+"~", l.Total
	case base == "":
		prefix, count = "0~", l.Total
	}
	if len(l.Commit) < shortHash {
		return "", "", errors.New("the commit is too short")
	}
	rest := "git" + l.Date.UTC().Format("20060102") + "." + l.Commit[:shortHash]
	return prefix + rest, prefix + strconv.Itoa(count) + "." + rest, nil
}

// FromStart says whether the version tells commits apart in the whole history,
// because it leads to a release, rather than among those since the tag.
func (l *Lock) FromStart(next string) bool {
	base, _ := TagVersion(l.Tag)
	return l.Tag == "" || coming(base, next)
}

// coming says whether next is still to be released after base.
func coming(base, next string) bool { return next != "" && rpm.CompareVersions(base, next) < 0 }

// shortHash is how much of a commit's hash a version has.
const shortHash = 7

var (
	bareTag  = regexp.MustCompile(`^[vV]?([0-9].*)$`)
	namedTag = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9+.]*[-_/])+?[vV]?([0-9].*)$`)
	preTag   = regexp.MustCompile(`^([0-9][0-9._]*?)[._~]?(alpha|beta|preview|pre|rc|dev)[._]?([0-9][0-9._]*)?$`)
	version  = regexp.MustCompile(`^[0-9][0-9A-Za-z._+]*(~[0-9A-Za-z._+]+)?$`)
)

// TagVersion is the version that a tag stands for: v3.7, 3.7, warewulf-3.7 and
// release/3.7 are 3.7, and 3.8-rc1, v3.8.rc1 and 3.8rc1 are 3.8~rc1. The result
// is false for tags that name none.
func TagVersion(tag string) (string, bool) {
	m := bareTag.FindStringSubmatch(tag)
	if m == nil {
		m = namedTag.FindStringSubmatch(tag)
	}
	if m == nil || len(tag) > 128 {
		return "", false
	}
	v := strings.ReplaceAll(m[1], "-", ".")
	if pre := preTag.FindStringSubmatch(strings.ToLower(v)); pre != nil {
		v = pre[1] + "~" + pre[2] + pre[3]
	}
	return v, version.MatchString(v)
}

// pinDefines are the macros that a spec of a recipe with a pin gets.
func pinDefines(p *Pin) map[string]string {
	if p == nil || p.Lock == nil {
		return nil
	}
	return map[string]string{"pin_version": p.Lock.Version, "pin_commit": p.Lock.Commit}
}

// Check finds a mistake in what people write of a pin, and the key that it is in.
func (p *Pin) Check() (key string, err error) {
	if p.Next != "" && (!version.MatchString(p.Next) || strings.Contains(p.Next, "~")) {
		return "next", fmt.Errorf("%q is not the version of a release: a digit first, then letters, digits and . _ +", p.Next)
	}
	if strings.ContainsAny(p.Branch, " \n\x00") {
		return "branch", fmt.Errorf("%q is not the name of a branch", p.Branch)
	}
	return "", nil
}
