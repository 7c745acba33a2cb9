package lint

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
)

// checkReadable reports the specs that rpm cannot read.
func checkReadable(l *linter) {
	for _, s := range l.specs {
		for _, e := range s.evaluated {
			if e.failed() {
				l.unreadable(s, e)
			}
		}
	}
}

// unreadable reports what rpm said when it could not read a spec.
func (l *linter) unreadable(s *specFile, e *Evaluated) {
	at := s.whole()
	message := e.Err.Error()
	var parse *spec.ParseError
	if errors.As(e.Err, &parse) {
		message = strings.Join(parse.Messages, "; ")
		// rpm counts the lines of an included file for themselves.
		if parse.Line > 0 && parse.Line <= s.text.Lines() {
			at = s.at(spectext.Position{Line: parse.Line, Column: 1})
		}
	}
	hint := "nothing is known of what it builds, and so nothing more is said about it: mend this first"
	l.findings.add(at.finding(ruleReadable, Error, "rpm cannot read it: "+message, hint), e)
}

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkPins finds commits that several specs repeat.
func checkPins(l *linter) {
	type pin struct {
		name string
		at   place
		spec *specFile
	}
	byHash := map[string][]pin{}
	for _, s := range l.specs {
		for _, d := range s.text.Definitions() {
			if commitHash.MatchString(d.Value) {
				byHash[d.Value] = append(byHash[d.Value], pin{d.Name, s.at(d.Position), s})
			}
		}
	}
	for _, hash := range sortedKeys(byHash) {
		pins := byHash[hash]
		var files []string
		for _, p := range pins {
			if !slices.Contains(files, p.at.file) {
				files = append(files, p.at.file)
			}
		}
		if len(files) < 2 {
			continue
		}
		slices.Sort(files)
		slices.SortStableFunc(pins, func(a, b pin) int { return strings.Compare(a.at.file, b.at.file) })
		message := fmt.Sprintf("commit %s… is pinned in %d specs, and one of them will be forgotten: also in %s", hash[:7], len(files), strings.Join(files[1:], ", "))
		hint := "give the source tree a file in pins/, and take %{pin_commit} and %{pin_version} from it"
		l.findings.add(pins[0].at.finding(rulePin, Warning, message, hint), pins[0].spec.evaluated...)
	}
}

var prerelease = regexp.MustCompile(`(?i)[0-9][._]?(alpha|beta|preview|pre|rc|dev)[._]?[0-9.]*$`)

// checkVersions finds versions that rpm sorts after the release that they precede.
func checkVersions(l *linter) {
	for _, s := range l.specs {
		for _, e := range s.evaluated {
			if e.Result == nil {
				continue
			}
			version := e.Result.Source.Version
			if strings.Contains(version, "~") || !prerelease.MatchString(version) {
				continue
			}
			right, ok := recipes.TagVersion(version)
			if !ok || right == version {
				continue
			}
			release, _, _ := strings.Cut(right, "~")
			message := fmt.Sprintf("rpm takes version %s to be newer than %s: whoever has it would never get the release", version, release)
			l.findings.add(s.findTag(e.Variant.Arch, "Version").finding(ruleVersion, Warning, message, "write "+right), e)
		}
	}
}

// checkRelease finds releases that are the same for all targets.
func checkRelease(l *linter) {
	for _, s := range l.specs {
		if s.recipe.Kind == recipes.MetaPackage {
			continue
		}
		for _, tag := range s.text.Tags() {
			if !strings.EqualFold(tag.Name, "Release") || strings.Contains(tag.Value, "dist") {
				continue
			}
			message := "the release has no %{?dist}: packages for different targets have the same file name"
			l.findings.add(s.at(tag.Position).finding(ruleRelease, Note, message, "write "+tag.Value+"%{?dist}"), s.evaluated...)
		}
	}
}

// checkObsoletes finds packages that obsolete others for ever.
func checkObsoletes(l *linter) {
	for _, s := range l.specs {
		for _, e := range s.evaluated {
			for _, p := range e.packages() {
				for _, d := range p.Obsoletes {
					if d.Version != "" {
						continue
					}
					message := fmt.Sprintf("%s is obsoleted in every version: it can never come back, not even from the distribution", d.Name)
					at := s.findWord(d.Name, e.Variant, "Obsoletes")
					l.findings.add(at.finding(ruleObsoletes, Warning, message, fmt.Sprintf("write Obsoletes: %s < VERSION, with the first version that is not replaced", d.Name), p.Name), e)
				}
			}
		}
	}
}

// checkProcessors finds specs whose expanded text tells how many processors the
// build had.
func checkProcessors(l *linter) {
	seen := map[*sourceText]bool{}
	for _, s := range l.specs {
		for _, f := range s.texts() {
			if seen[f] {
				continue
			}
			seen[f] = true
			for _, r := range f.text.References() {
				if r.Kind == spectext.Macro && slices.Contains([]string{"_smp_mflags", "_smp_build_ncpus", "make_build"}, r.Name) {
					message := fmt.Sprintf("%%{%s} is written out with the number of processors, and rpm keeps the text in the source package: it differs from machine to machine", r.Name)
					l.findings.add(f.at(r.Position).finding(ruleProcessors, Note, message, `write make -j"$RPM_BUILD_NCPUS"`), l.readers(f.path)...)
					break // one is enough for a spec
				}
			}
		}
	}
}
