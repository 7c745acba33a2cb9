package rpm

import (
	"iter"
	"strings"
)

// Dependency is one thing that a package provides, requires, or relates to
// otherwise. A rich dependency is a name in parentheses and is not evaluated
// here.
type Dependency struct {
	Name    string
	Flags   Sense
	Version string // [epoch:]version[-release] as written, may be empty
}

// Sense says how a dependency's version compares and when it must hold
// (rpm: rpmds.h).
type Sense uint32

// The comparisons, when a requirement must hold (before or after which of the
// package's scripts, or for which triggers), and where it comes from.
const (
	Less          Sense = 1 << 1
	Greater       Sense = 1 << 2
	Equal         Sense = 1 << 3
	PostTrans     Sense = 1 << 5
	PreReq        Sense = 1 << 6
	PreTrans      Sense = 1 << 7
	Interpreter   Sense = 1 << 8 // of a script
	ScriptPre     Sense = 1 << 9
	ScriptPost    Sense = 1 << 10
	ScriptPreUn   Sense = 1 << 11
	ScriptPostUn  Sense = 1 << 12
	ScriptVerify  Sense = 1 << 13
	FindRequires  Sense = 1 << 14 // found by a generator
	FindProvides  Sense = 1 << 15
	TriggerIn     Sense = 1 << 16
	TriggerUn     Sense = 1 << 17
	TriggerPostUn Sense = 1 << 18
	MissingOK     Sense = 1 << 19 // a weak one, in packages of old tools
	PreUnTrans    Sense = 1 << 20
	PostUnTrans   Sense = 1 << 21
	RPMLib        Sense = 1 << 24 // a feature of rpm
	TriggerPreIn  Sense = 1 << 25
	Config        Sense = 1 << 28
	Meta          Sense = 1 << 29 // for resolution, not for order

	comparison = Less | Greater | Equal
	// senseMask is wider than what is defined in it (rpm: RPMSENSE_SENSEMASK).
	senseMask Sense = 15
)

// Operator is the comparison as it is written in a spec: "", "<", "<=", "=",
// ">=" or ">".
func (s Sense) Operator() string {
	var b strings.Builder
	if s&Less != 0 {
		b.WriteByte('<')
	}
	if s&Greater != 0 {
		b.WriteByte('>')
	}
	if s&Equal != 0 {
		b.WriteByte('=')
	}
	return b.String()
}

// EVR is the dependency's version, split.
func (d Dependency) EVR() EVR { return ParseEVR(d.Version) }

// Rich says whether the name is an expression such as "(a if b)".
func (d Dependency) Rich() bool { return strings.HasPrefix(d.Name, "(") }

// String is the dependency as it is written in a spec.
func (d Dependency) String() string {
	if d.Flags&comparison == 0 || d.Version == "" {
		return d.Name
	}
	return d.Name + " " + d.Flags.Operator() + " " + d.Version
}

// SatisfiedBy says whether provided's range of versions and d's overlap, under
// the same name (rpm: rpmdsCompareIndex). One without a version stands for any.
func (d Dependency) SatisfiedBy(provided Dependency) bool {
	if d.Name != provided.Name {
		return false
	}
	if d.Flags&senseMask == 0 || provided.Flags&senseMask == 0 || d.Version == "" || provided.Version == "" {
		return true
	}
	return overlap(provided.EVR(), provided.Flags, d.EVR(), d.Flags)
}

// overlap is rpm's rpmverOverlap: which of the two is the provider makes no
// difference.
func overlap(a EVR, af Sense, b EVR, bf Sense) bool {
	sense := 0
	switch {
	case a.Epoch != "" && b.Epoch != "":
		sense = CompareVersions(a.Epoch, b.Epoch)
	case strings.Trim(a.Epoch, "0") != "":
		sense = 1
	case strings.Trim(b.Epoch, "0") != "":
		sense = -1
	}
	if sense == 0 {
		sense = CompareVersions(a.Version, b.Version)
	}
	if sense == 0 {
		if a.Release != "" && b.Release != "" {
			sense = CompareVersions(a.Release, b.Release)
		} else if a.Release != "" && bf&Equal != 0 || b.Release != "" && af&Equal != 0 {
			return true // the side without a release means any release
		}
	}
	switch {
	case sense < 0:
		return af&Greater != 0 || bf&Less != 0
	case sense > 0:
		return af&Less != 0 || bf&Greater != 0
	default:
		return af&bf&comparison != 0
	}
}

// dependencyTags are the three parallel arrays that hold one kind of
// dependency.
type dependencyTags struct{ name, flags, version Tag }

var (
	provideTags    = dependencyTags{TagProvideName, TagProvideFlags, TagProvideVersion}
	requireTags    = dependencyTags{TagRequireName, TagRequireFlags, TagRequireVersion}
	conflictTags   = dependencyTags{TagConflictName, TagConflictFlags, TagConflictVersion}
	obsoleteTags   = dependencyTags{TagObsoleteName, TagObsoleteFlags, TagObsoleteVersion}
	recommendTags  = dependencyTags{TagRecommendName, TagRecommendFlags, TagRecommendVersion}
	suggestTags    = dependencyTags{TagSuggestName, TagSuggestFlags, TagSuggestVersion}
	supplementTags = dependencyTags{TagSupplementName, TagSupplementFlags, TagSupplementVersion}
	enhanceTags    = dependencyTags{TagEnhanceName, TagEnhanceFlags, TagEnhanceVersion}
)

// Provides iterates over what the package provides. A package of format 3 provides
// itself, too, where its header does not say so (rpm 4: headerutil.c,
// providePackageNVR).
func (p *Package) Provides() iter.Seq[Dependency] {
	listed := p.dependencies(provideTags)
	if p.Format != 3 || p.Source() {
		return listed
	}
	return func(yield func(Dependency) bool) {
		itself := Dependency{Name: p.Name, Flags: Equal, Version: p.EVR().String()}
		for d := range listed {
			if !yield(d) {
				return
			}
			if d == itself {
				itself.Name = ""
			}
		}
		if itself.Name != "" {
			yield(itself)
		}
	}
}

// Requires iterates over what the package requires, what only its scripts or
// rpm itself must have included.
func (p *Package) Requires() iter.Seq[Dependency] { return p.dependencies(requireTags) }

// Conflicts iterates over what must not be installed beside the package.
func (p *Package) Conflicts() iter.Seq[Dependency] { return p.dependencies(conflictTags) }

// Obsoletes iterates over what the package replaces.
func (p *Package) Obsoletes() iter.Seq[Dependency] { return p.dependencies(obsoleteTags) }

// Recommends iterates over what is installed along with the package if it can be.
func (p *Package) Recommends() iter.Seq[Dependency] { return p.dependencies(recommendTags) }

// Suggests iterates over what goes well with the package.
func (p *Package) Suggests() iter.Seq[Dependency] { return p.dependencies(suggestTags) }

// Supplements iterates over what, when installed, recommends this package.
func (p *Package) Supplements() iter.Seq[Dependency] { return p.dependencies(supplementTags) }

// Enhances iterates over what, when installed, suggests this package.
func (p *Package) Enhances() iter.Seq[Dependency] { return p.dependencies(enhanceTags) }

func (p *Package) dependencies(t dependencyTags) iter.Seq[Dependency] {
	return func(yield func(Dependency) bool) {
		names, versions, flags := p.header.cursor(t.name), p.header.cursor(t.version), p.header.Ints(t.flags)
		for i := 0; ; i++ {
			name, ok := names.next()
			if !ok {
				return
			}
			version, _ := versions.next()
			if !yield(Dependency{Name: name, Flags: Sense(flags.At(i)), Version: version}) {
				return
			}
		}
	}
}
