package load

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// checkSources finds files of one name, and sources that say too little of where
// they come from.
func (l *loader) checkSources(r *recipes.Recipe) {
	taken := map[string]string{}
	for _, f := range l.catalog.Shared {
		taken[f.Name] = f.Path
	}
	for _, f := range r.Sources {
		if other := taken[f.Name]; other != "" {
			l.fail(f.Path, "rename it", "%s has the same name, and both go to _sourcedir", path.Join(l.folder, other))
		}
		taken[f.Name] = f.Path
	}
	for i, s := range r.Fetched {
		at := fmt.Sprintf("sources[%d]", i)
		if !plainName(s.File) {
			l.failIn(r, at+".file", "", "%q is not a file name", s.File)
		} else if other := taken[s.File]; other != "" {
			l.failIn(r, at+".file", "rename it", "%s has the same name, and both go to _sourcedir", other)
		}
		taken[s.File] = "another source"
		l.checkSource(r, at, s)
	}
}

func (l *loader) checkSource(r *recipes.Recipe, at string, s recipes.Source) {
	var kinds []string
	for kind, given := range map[string]bool{
		"debian": s.Debian != nil, "url": s.URL != "", "git": s.Git != nil, "dir": s.Folder != nil, "generated": s.Generated != "",
	} {
		if given {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 {
		l.failIn(r, at, "one of debian, url, git, dir and generated", "a source says in exactly one way where it comes from")
		return
	}
	pinned := s.SHA256 != ""
	if pinned && !digest.MatchString(s.SHA256) {
		l.failIn(r, at+".sha256", "", "%q is not a SHA-256 digest: 64 lower-case hexadecimal digits", s.SHA256)
	}
	if len(s.Mirrors) > 0 && s.URL == "" {
		l.failIn(r, at+".mirrors", "", "mirrors are only for a url")
	}
	switch {
	case s.Debian != nil:
		if !plainName(s.Debian.File) {
			l.failIn(r, at+".debian.file", "", "%q is not a file name", s.Debian.File)
		}
	case s.URL != "":
		for j, u := range append([]string{s.URL}, s.Mirrors...) {
			where := at + ".url"
			if j > 0 {
				where = fmt.Sprintf("%s.mirrors[%d]", at, j-1)
			}
			if p, err := url.Parse(u); err != nil || p.Host == "" || (p.Scheme != "https" && p.Scheme != "http") {
				l.failIn(r, where, "", "%q is not an http or https address", u)
			}
		}
	case s.Git != nil:
		l.checkGit(r, at+".git", s.Git)
		if s.Git.Pin != "" && pinned {
			l.failIn(r, at+".sha256", "leave it out", "the archive is another one after each bump; the commit of the pin verifies it")
		}
	case s.Folder != nil:
		l.checkPrefix(r, at+".dir.prefix", s.Folder.Prefix)
	}
	if (s.Debian != nil || s.URL != "") && !pinned {
		l.failIn(r, at, "add sha256: and the digest that sha256sum prints", "source %s is not pinned by a digest", s.File)
	}
}

// checkPatches finds patches that are nowhere, and makes sources of those that
// are commits.
func (l *loader) checkPatches(r *recipes.Recipe) {
	have := map[string]string{}
	for _, f := range append(slices.Clone(l.catalog.Shared), r.Sources...) {
		have[f.Name] = path.Join(l.folder, f.Path)
	}
	for _, s := range r.Fetched {
		have[s.File] = "one of the sources"
	}
	listed := map[string]bool{}
	for i, p := range r.Patches {
		at := fmt.Sprintf("patches[%d]", i)
		file := at + ".file"
		fetched := p.URL != "" || p.Commit != ""
		switch other := have[p.File]; {
		case !plainName(p.File):
			l.failIn(r, file, "", "%q is not a file name", p.File)
		case listed[p.File]:
			l.failIn(r, file, "", "patch %s is listed twice", p.File)
		case fetched && other != "":
			l.failIn(r, file, "rename it, or leave out url and commit", "%s has the same name, and both go to _sourcedir", other)
		case !fetched && other == "":
			l.failIn(r, file, "put it there, or give the url and commit it is", "there is no file %s", path.Join(l.folder, r.Dir, "SOURCES", p.File))
		}
		listed[p.File] = true
		if !fetched {
			continue
		}
		l.checkCommit(r, at, p.URL, p.Commit)
		r.Fetched = append(r.Fetched, recipes.Source{File: p.File, Commit: &recipes.Commit{URL: p.URL, Commit: p.Commit}})
	}
}

// checkCommit finds what the address of a commit lacks.
func (l *loader) checkCommit(r *recipes.Recipe, at, address, commit string) {
	switch {
	case address == "":
		l.failIn(r, at, "the repository that has the commit", "\"url\" is missing in %s", at)
	case commit == "":
		l.failIn(r, at, "branches and tags move", "\"commit\" is missing in %s", at)
	case !fullCommit.MatchString(commit):
		l.failIn(r, at+".commit", "branches and tags move", "%q is not a full commit: 40 lower-case hexadecimal digits", commit)
	}
	if _, err := recipes.IsRemote(address); err != nil {
		l.failIn(r, at+".url", "", "%v", err)
	}
}

func (l *loader) checkPrefix(r *recipes.Recipe, at, prefix string) {
	if !plainName(strings.TrimSuffix(prefix, "/")) {
		l.failIn(r, at, "", "%q is not the name of one folder", prefix)
	}
}

// plainName says whether name is a file name that stays in its folder.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00\n")
}
