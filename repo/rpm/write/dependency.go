package write

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// relation is one kind of dependency with all that a package has of it.
type relation struct {
	what                 string
	list                 []rpm.Dependency
	name, flags, version rpm.Tag
	may                  rpm.Sense // the flags that are allowed beside a comparison
	rich                 bool      // whether it can be an expression
	context              richBits  // what an expression of it must not have (rpm: rpmrichParseForTag)
}

const (
	comparison = rpm.Less | rpm.Greater | rpm.Equal

	// When a requirement must hold, and how it came to be (rpm: _ALL_REQUIRES_MASK,
	// without what only rpm itself sets).
	requirement = 1<<5 | rpm.PreReq | 1<<7 | 1<<8 | rpm.ScriptPre | rpm.ScriptPost | rpm.ScriptPreUn | rpm.ScriptPostUn |
		1<<13 | 1<<14 | rpm.MissingOK | 1<<29
	findProvides = 1 << 15
)

func (p *Package) relations() []relation {
	return []relation{
		{"provides", p.Provides, rpm.TagProvideName, rpm.TagProvideFlags, rpm.TagProvideVersion, findProvides, false, 0},
		{"requires", p.Requires, rpm.TagRequireName, rpm.TagRequireFlags, rpm.TagRequireVersion, requirement, true, noAnd},
		{"conflicts with", p.Conflicts, rpm.TagConflictName, rpm.TagConflictFlags, rpm.TagConflictVersion, 0, true, noOr},
		{"obsoletes", p.Obsoletes, rpm.TagObsoleteName, rpm.TagObsoleteFlags, rpm.TagObsoleteVersion, 0, false, 0},
		{"recommends", p.Recommends, rpm.TagRecommendName, rpm.TagRecommendFlags, rpm.TagRecommendVersion, requirement, true, noAnd},
		{"suggests", p.Suggests, rpm.TagSuggestName, rpm.TagSuggestFlags, rpm.TagSuggestVersion, requirement, true, noAnd},
		{"supplements", p.Supplements, rpm.TagSupplementName, rpm.TagSupplementFlags, rpm.TagSupplementVersion, requirement, true, noOr},
		{"enhances", p.Enhances, rpm.TagEnhanceName, rpm.TagEnhanceFlags, rpm.TagEnhanceVersion, requirement, true, noOr},
	}
}

// addDependencies adds all relations, with those that rpmbuild adds by itself.
func (p *Package) addDependencies(h *header) {
	all := p.relations()
	features := p.features(all)
	provides, requires := &all[0], &all[1]
	provides.list = append(slices.Clone(provides.list), p.itself()...)
	requires.list = append(slices.Clone(requires.list), features...)
	for _, r := range all {
		var names, versions []string
		var flags []uint32
		for _, d := range sorted(r.list) {
			names, flags, versions = append(names, d.Name), append(flags, uint32(d.Flags)), append(versions, d.Version)
		}
		h.texts(r.name, names...)
		h.ints(r.flags, flags...)
		h.texts(r.version, versions...)
	}
}

// sorted is in rpm's order and holds nothing twice (rpm: rpmdsMerge).
func sorted(list []rpm.Dependency) []rpm.Dependency {
	list = slices.SortedFunc(slices.Values(list), func(a, b rpm.Dependency) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), cmp.Compare(a.Flags, b.Flags))
	})
	return slices.Compact(list)
}

// itself is how the package provides its own name (rpm: addPackageProvides).
func (p *Package) itself() []rpm.Dependency {
	list := []rpm.Dependency{{Name: p.Name, Flags: rpm.Equal, Version: p.evr()}}
	if isa := architectures[p.Arch].isa; isa != "" && !p.Source {
		list = append(list, rpm.Dependency{Name: p.Name + "(" + isa + ")", Flags: rpm.Equal, Version: p.evr()})
	}
	return list
}

// features are the abilities of rpm that the package needs (rpm: finalizeDeps
// and genCpioListAndHeader). The versions are those in which they came.
func (p *Package) features(all []relation) []rpm.Dependency {
	var list []rpm.Dependency
	needs := func(feature, version string) {
		list = append(list, rpm.Dependency{Name: "rpmlib(" + feature + ")", Flags: rpm.RPMLib | rpm.Less | rpm.Equal, Version: version})
	}
	needs("CompressedFileNames", "3.0.4-1")
	needs("FileDigests", "4.6.0-1")
	if !p.Source {
		needs("PayloadFilesHavePrefix", "4.0-1")
	}
	var versions strings.Builder
	if !p.Source { // a source package's own version does not count
		versions.WriteString(p.evr())
	}
	rich := false
	for _, r := range all {
		for _, d := range r.list {
			versions.WriteString(d.Version)
			if d.Rich() {
				rich = true
				if e, err := parseRich(d.Name); err == nil {
					versions.WriteString(e.versions)
				}
			}
		}
	}
	if strings.Contains(versions.String(), "~") {
		needs("TildeInVersions", "4.10.0-1")
	}
	if strings.Contains(versions.String(), "^") {
		needs("CaretInVersions", "4.15.0-1")
	}
	if rich {
		needs("RichDependencies", "4.12.0-1")
	}
	return list
}

// check refuses a dependency that rpmbuild would not write.
func (r relation) check(d rpm.Dependency) error {
	if d.Rich() {
		return r.checkRich(d)
	}
	if err := checkCapability(d.Name); err != nil {
		return err
	}
	if extra := d.Flags &^ (comparison | r.may); extra != 0 {
		return fmt.Errorf("%s: flags %#x have no meaning here", d.Name, uint32(extra))
	}
	if (d.Flags&comparison == 0) != (d.Version == "") {
		return fmt.Errorf("%s: a comparison needs a version, and a version a comparison", d.Name)
	}
	if d.Version == "" {
		return nil
	}
	if d.Flags.Operator() == "<>" || d.Flags&comparison == comparison {
		return fmt.Errorf("%s: a version is not compared with <>", d.Name)
	}
	if d.Name[0] == '/' {
		return fmt.Errorf("%s: a file has no version", d.Name)
	}
	return checkEVR(d.Version)
}

func (r relation) checkRich(d rpm.Dependency) error {
	if !r.rich {
		return fmt.Errorf("%s: no expression is allowed here", d.Name)
	}
	if d.Flags&^r.may != 0 || d.Version != "" {
		return fmt.Errorf("%s: an expression has no version of its own", d.Name)
	}
	e, err := parseRich(d.Name)
	switch {
	case err != nil:
		return err
	case e.text != d.Name:
		return fmt.Errorf("%s: rpm writes it as %s", d.Name, e.text)
	}
	return e.bits.conflict(r.context)
}

// checkCapability checks the name of something provided or required (rpm:
// parseReqs.c, checkDep).
func checkCapability(name string) error {
	switch {
	case name == "":
		return errors.New("a dependency without a name")
	case len(name) > maxName:
		return fmt.Errorf("a dependency's name has %d bytes, allowed are %d", len(name), maxName)
	case strings.HasPrefix(name, "rpmlib("):
		return fmt.Errorf("%s: which features of rpm a package needs is found out, not given", name)
	case name[0] < 0x80 && !isWord(name[0]) && name[0] != '/':
		return fmt.Errorf("%q: a dependency begins with a letter, a digit, '_' or '/'", name)
	}
	if err := checkLine(name); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if strings.ContainsFunc(name, unicode.IsSpace) {
		return fmt.Errorf("%q: a dependency's name has no spaces", name)
	}
	return nil
}

// checkEVR checks [epoch:]version[-release] (rpm: parseReqs.c, checkDep).
func checkEVR(evr string) error {
	rest := evr
	if epoch, after, ok := strings.Cut(rest, ":"); ok {
		if _, err := strconv.ParseUint(epoch, 10, 32); err != nil || epoch[0] == '+' {
			return fmt.Errorf("%q is not a version: the epoch must be a number", evr)
		}
		rest = after
	}
	version, release, dash := strings.Cut(rest, "-")
	if err := checkVersion(version); err != nil {
		return fmt.Errorf("%q is not a version: %w", evr, err)
	}
	if dash {
		if err := checkVersion(release); err != nil {
			return fmt.Errorf("%q is not a version: %w", evr, err)
		}
	}
	return nil
}

// ParseDependency reads one dependency as it is written in a spec: a name, a name
// with a comparison and a version, or an expression in parentheses, which comes
// back in the form in which rpm writes it.
func ParseDependency(text string) (rpm.Dependency, error) {
	text = strings.TrimFunc(text, isSeparator)
	if strings.HasPrefix(text, "(") {
		e, err := parseRich(text)
		if err != nil {
			return rpm.Dependency{}, err
		}
		return rpm.Dependency{Name: e.text}, nil
	}
	fields := strings.FieldsFunc(text, isSeparator)
	var d rpm.Dependency
	switch len(fields) {
	case 1:
		d.Name = fields[0]
	case 3:
		d = rpm.Dependency{Name: fields[0], Flags: operators[fields[1]], Version: fields[2]}
		if d.Flags == 0 {
			return d, fmt.Errorf("%q is not one dependency: %q is no comparison", text, fields[1])
		}
	default:
		return d, fmt.Errorf("%q is not one dependency: name, or name, comparison and version", text)
	}
	return d, relation{}.check(d)
}

// operators are the comparisons as specs may have them (rpm: rpmParseDSFlags).
var operators = map[string]rpm.Sense{
	"<": rpm.Less, "<=": rpm.Less | rpm.Equal, "=<": rpm.Less | rpm.Equal,
	"=": rpm.Equal, "==": rpm.Equal,
	">": rpm.Greater, ">=": rpm.Greater | rpm.Equal, "=>": rpm.Greater | rpm.Equal,
}

// isSeparator is what stands between the words of a dependency.
func isSeparator(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' || r == ',' }
