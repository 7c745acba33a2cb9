package updateinfo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Package is what an advisory is made of, for one package. Source packages may
// be among them and are not looked at.
type Package struct {
	Name, Arch string
	EVR        rpm.EVR
	SourceRPM  string // file name of the source package; when empty the package stands for itself
	FileName   string // base name of the file
	Checksum   rpmmd.Checksum
	Summary    string
	BuildTime  time.Time
	Changes    []rpm.Change // the newest first
}

// FromPackage is the Package of a package's header and of its file's digest.
func FromPackage(p *rpm.Package, checksum rpmmd.Checksum) Package {
	return Package{
		Name: p.Name, Arch: p.Arch, EVR: p.EVR(), SourceRPM: p.SourceRPM, FileName: p.FileName(), Checksum: checksum,
		Summary: p.Summary, BuildTime: p.BuildTime, Changes: slices.Collect(p.Changelog()),
	}
}

// Issuer is what advisories have in common.
type Issuer struct {
	Prefix  string // of their IDs, such as "OHPC"; none when empty
	From    string // who to ask
	Product string // what they are for: "OpenHPC 3 for EL_9"
}

// Between returns an advisory for each source package of which fresh has
// packages that old has not or has in an older version only. Packages that are
// older than before, or built again under the same version, are no updates for
// anybody. The advisories are sorted by ID.
//
// The kind is newpackage when old has nothing of the source package; otherwise
// security when a change since the old version names a CVE; bugfix when the
// version stayed and only the release is another, or when all that the changes
// list are fixes; enhancement in all other cases. A severity is given when the
// changes of a security update say one.
func Between(old, fresh []Package, by Issuer) []Advisory {
	type key struct{ name, arch string }
	before := map[key]Package{}
	sources := map[string]Package{} // the newest old package of each source package's name
	for _, p := range old {
		if p.source() {
			continue
		}
		keep(before, key{p.Name, p.Arch}, p)
		keep(sources, p.SourceName(), p)
	}
	newest := map[key]Package{}
	for _, p := range fresh {
		if !p.source() {
			keep(newest, key{p.Name, p.Arch}, p)
		}
	}
	groups := map[string][]Package{} // by source package, those that are updates
	for k, p := range newest {
		if was, ok := before[k]; !ok || was.EVR.Compare(p.EVR) < 0 {
			from := cmp.Or(p.SourceRPM, p.Name)
			groups[from] = append(groups[from], p)
		}
	}
	var all []Advisory
	for _, packages := range groups {
		slices.SortFunc(packages, func(a, b Package) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.FileName, b.FileName))
		})
		was, known := sources[packages[0].SourceName()]
		all = append(all, advisory(packages, was, known, by))
	}
	slices.SortFunc(all, func(a, b Advisory) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (p Package) source() bool { return p.Arch == "src" || p.Arch == "nosrc" }

// keep leaves the newest package under its key; of two with one version, the one
// whose digest comes first, so that the order they came in does not matter.
func keep[K comparable](m map[K]Package, k K, p Package) {
	was, ok := m[k]
	if !ok {
		m[k] = p
		return
	}
	if c := cmp.Or(was.EVR.Compare(p.EVR), cmp.Compare(p.Name, was.Name), cmp.Compare(p.Arch, was.Arch), cmp.Compare(p.Checksum.Value, was.Checksum.Value)); c < 0 {
		m[k] = p
	}
}

// SourceName is the name of the source package that p was built from. An advisory tells
// of packages of one such name.
func (p Package) SourceName() string {
	name, _ := sourceParts(p)
	return name
}

// sourceParts are the name and version-release of the source package, or where it
// cannot be told the package's own.
func sourceParts(p Package) (name, versionRelease string) {
	if name, versionRelease, ok := rpm.SplitSource(p.SourceRPM); ok {
		return name, versionRelease
	}
	return p.Name, rpm.EVR{Version: p.EVR.Version, Release: p.EVR.Release}.String()
}

func advisory(packages []Package, was Package, known bool, by Issuer) Advisory {
	name, vr := sourceParts(packages[0])
	a := Advisory{From: by.From, Status: "final", Version: "1", Release: by.Product}
	digest := sha256.New()
	for _, p := range packages {
		u := Update{
			Name: p.Name, Epoch: cmp.Or(p.EVR.Epoch, "0"), Version: p.EVR.Version, Release: p.EVR.Release, Arch: p.Arch,
			Source: p.SourceRPM, FileName: p.FileName, Checksum: p.Checksum,
		}
		a.Packages = append(a.Packages, u)
		fmt.Fprintf(digest, "%q\n", []string{u.Name, u.Epoch, u.Version, u.Release, u.Arch})
		if p.BuildTime.After(a.Issued) {
			a.Issued = p.BuildTime.UTC().Truncate(time.Second)
		}
	}
	a.ID = identifier(by.Prefix, name, vr, hex.EncodeToString(digest.Sum(nil))[:8])

	var changes []rpm.Change
	for _, p := range packages {
		if changes = p.Changes; len(changes) > 0 {
			break
		}
	}
	if known {
		changes = since(changes, was.Changes)
	}
	a.Description = describe(changes)
	cves := cvesOf(changes)
	cves = cves[:min(len(cves), maxReferences)]
	for _, cve := range cves {
		a.References = append(a.References, Reference{Kind: "cve", ID: cve, Title: cve, URL: "https://www.cve.org/CVERecord?id=" + cve})
	}
	version, _, _ := strings.Cut(vr, "-")
	switch {
	case !known:
		a.Kind, a.Title = NewPackage, "New package: "+name+" "+version
		a.Description = cmp.Or(packages[0].Summary, a.Description)
		a.References = nil // nobody has the version before it
	case len(cves) > 0:
		a.Kind, a.Title = Security, "Security update for "+name
		a.Severity = severity(changes)
	case version == versionOf(was) || allFixes(changes):
		a.Kind, a.Title = Bugfix, "Bug fix update for "+name
	default:
		a.Kind, a.Title = Enhancement, "Update of "+name+" to "+version
	}
	if a.Description == "" {
		a.Description = a.Title
	}
	return a
}

func versionOf(p Package) string {
	_, vr := sourceParts(p)
	version, _, _ := strings.Cut(vr, "-")
	return version
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9._+~^-]+`)

// identifier is unique among all advisories, since its last part is made of what
// they bring, and the same whenever it is made.
func identifier(parts ...string) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" })
	return notInID.ReplaceAllString(strings.Join(parts, "-"), "_")
}

// since are the changes that are not among the old ones and not older than the
// newest of them. Metadata move times on by seconds, so days are compared.
func since(changes, old []rpm.Change) []rpm.Change {
	type entry struct{ author, text string }
	had := map[entry]bool{}
	var newest int64
	for _, c := range old {
		had[entry{strings.TrimSpace(c.Author), strings.TrimSpace(c.Text)}] = true
		newest = max(newest, c.Time)
	}
	const day = 24 * 60 * 60
	var fresh []rpm.Change
	for _, c := range changes {
		if c.Time/day >= newest/day && !had[entry{strings.TrimSpace(c.Author), strings.TrimSpace(c.Text)}] {
			fresh = append(fresh, c)
		}
	}
	return fresh
}

// maxReferences bounds how many CVEs an advisory names.
const maxReferences = 1000

// maxDescription bounds an advisory's text, in bytes.
const maxDescription = 16 << 10

// describe is the changes as rpm shows them. What is cut off is said.
func describe(changes []rpm.Change) string {
	var b strings.Builder
	for _, c := range changes {
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		date := time.Unix(c.Time, 0).UTC().Format("Mon Jan 02 2006")
		b.WriteString("* " + date + " " + clean(c.Author) + "\n" + clean(c.Text))
		if b.Len() > maxDescription {
			s := b.String()[:maxDescription]
			if end := strings.LastIndexByte(s, '\n'); end > 0 {
				s = s[:end]
			}
			return strings.ToValidUTF8(s, "") + "\n…"
		}
	}
	return b.String()
}

// clean is text with what XML cannot hold left out.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�")))
}

var (
	cve = regexp.MustCompile(`(?i)\bCVE-[0-9]{4}-[0-9]{4,19}\b`)
	fix = regexp.MustCompile(`(?i)\b(fix(e[sd]|ing)?|bug(s|fix(es)?)?|crash(e[sd])?|regressions?|repair(s|ed)?|correct(s|ed)?)\b`)
	// said finds a severity where it is meant as one.
	said = regexp.MustCompile(`(?i)(?:\bseverity\s*[:=]?\s*|[(\[]\s*)(critical|important|moderate|low)\b`)
)

// cvesOf are the CVEs that changes name, sorted, each once.
func cvesOf(changes []rpm.Change) []string {
	var all []string
	for _, c := range changes {
		for _, id := range cve.FindAllString(c.Text, -1) {
			all = append(all, strings.ToUpper(id))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// severity is the highest that changes say.
func severity(changes []rpm.Change) string {
	levels := []string{"Low", "Moderate", "Important", "Critical"}
	highest := -1
	for _, c := range changes {
		for _, m := range said.FindAllStringSubmatch(c.Text, -1) {
			level := slices.IndexFunc(levels, func(l string) bool { return strings.EqualFold(l, m[1]) })
			highest = max(highest, level)
		}
	}
	if highest < 0 {
		return ""
	}
	return levels[highest]
}

// allFixes says whether there are changes and each item of their lists is a fix.
func allFixes(changes []rpm.Change) bool {
	items := 0
	for _, c := range changes {
		for line := range strings.Lines(c.Text) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "*") {
				continue
			}
			if items++; !fix.MatchString(line) {
				return false
			}
		}
	}
	return items > 0
}
