package load

import (
	"fmt"
	"path"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// checkPins finds pins that were never bumped, and locks that were changed by
// other means.
func (l *loader) checkPins() {
	for _, p := range l.catalog.Pins {
		if !packageName.MatchString(p.Name) {
			l.fail(path.Join("pins", p.Name+".yaml"), "letters, digits and + . _ -", "%q cannot name a pin", p.Name)
			continue
		}
		if key, err := p.Check(); err != nil {
			l.failIn(p, key, "", "%v", err)
			continue
		}
		if _, err := recipes.IsRemote(p.URL); err != nil {
			l.failIn(p, "url", "", "%v", err)
			continue
		}
		if l.unlocked {
			continue
		}
		bump := "ohpc-build recipe bump " + p.Name
		if p.Lock == nil {
			l.failIn(p, "", bump+" writes it", "the pin has no lock yet")
			continue
		}
		if key, err := checkLock(p); err != nil {
			l.failIn(p, "lock."+key, bump+" writes the lock anew; it is not to be edited", "%v", err)
		}
	}
}

func checkLock(p *recipes.Pin) (key string, err error) {
	lock := p.Lock
	switch {
	case !fullCommit.MatchString(lock.Commit):
		return "commit", fmt.Errorf("%q is not a full commit: 40 lower-case hexadecimal digits", lock.Commit)
	case lock.Total < 1:
		return "total", fmt.Errorf("a history of %d commits is none", lock.Total)
	case lock.Since < 0 || lock.Since > lock.Total || lock.Tag == "" && lock.Since != lock.Total:
		return "since", fmt.Errorf("%d of %d commits cannot be since the tag %q", lock.Since, lock.Total, lock.Tag)
	}
	plain, counted, err := lock.Versions(p.Next)
	switch {
	case err != nil:
		return "tag", err
	case lock.Version != plain && lock.Version != counted:
		return "version", fmt.Errorf("the version is %q, but the commit, its date, tag and count and the next release make %s", lock.Version, either(plain, counted))
	}
	return "", nil
}

func either(a, b string) string {
	if a == b {
		return a
	}
	return a + " or " + b
}

// checkGit finds what a source of a repository lacks, and takes from its pin
// what that gives.
func (l *loader) checkGit(r *recipes.Recipe, at string, g *recipes.Git) {
	l.checkPrefix(r, at+".prefix", g.Prefix)
	switch {
	case g.Pin != "" && (g.URL != "" || g.Commit != ""):
		l.failIn(r, at, "leave out url and commit, or the pin", "the pin %s gives the address and the commit", g.Pin)
	case g.Pin != "":
		l.usePin(r, at, g)
	case g.URL == "":
		l.failIn(r, at, "or a pin", "\"url\" is missing in %s", at)
	case g.Commit == "":
		l.failIn(r, at, "or a pin in place of url", "\"commit\" is missing in %s", at)
	default:
		l.checkCommit(r, at, g.URL, g.Commit)
	}
}

func (l *loader) usePin(r *recipes.Recipe, at string, g *recipes.Git) {
	p, err := l.catalog.Pin(g.Pin)
	switch {
	case err != nil && len(l.catalog.Pins) == 0:
		l.failIn(r, at+".pin", "", "%v: %s is missing", err, path.Join(l.folder, "pins", g.Pin+".yaml"))
		return
	case err != nil:
		l.failIn(r, at+".pin", "", "%v", err)
		return
	case r.Pin != nil && r.Pin != p:
		l.failIn(r, at+".pin", "make two recipes of it", "the recipe follows pin %s already, and its version can come from one only", r.Pin.Name)
		return
	}
	r.Pin = p
	g.URL = p.URL
	if p.Lock != nil {
		g.Commit = p.Lock.Commit
	}
}

// Pin reads a pin by itself from the bytes of its file. The lock may be missing,
// but not be wrong.
func Pin(file string, data []byte) (*recipes.Pin, error) {
	p := &recipes.Pin{Name: strings.TrimSuffix(path.Base(file), ".yaml")}
	doc, err := strict.Decode(file, data, p)
	if err != nil {
		return nil, err
	}
	key, err := p.Check()
	if err == nil && p.Lock != nil {
		if key, err = checkLock(p); err != nil {
			key = "lock." + key
		}
	}
	if err != nil {
		return nil, strict.Problems{doc.Problem(key, "", "%v", err)}
	}
	return p, nil
}
