package headers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Header is a package as rpmspec describes it.
type Header struct {
	Name    string `json:"name"`
	Epoch   uint32 `json:"epoch,omitempty"` // 0 also when there is none
	Version string `json:"version"`
	Release string `json:"release"`
	Arch    string `json:"arch"`
	Summary string `json:"summary"`

	Provides    []rpm.Dependency `json:"provides,omitempty"`
	Requires    []rpm.Dependency `json:"requires,omitempty"`
	Conflicts   []rpm.Dependency `json:"conflicts,omitempty"`
	Obsoletes   []rpm.Dependency `json:"obsoletes,omitempty"`
	Recommends  []rpm.Dependency `json:"recommends,omitempty"`
	Suggests    []rpm.Dependency `json:"suggests,omitempty"`
	Supplements []rpm.Dependency `json:"supplements,omitempty"`
	Enhances    []rpm.Dependency `json:"enhances,omitempty"`

	// Only a source package has these. Its Requires and Conflicts are those of
	// the build.
	Sources       []string `json:"sources,omitempty"` // file names, without addresses
	Patches       []string `json:"patches,omitempty"`
	BuildArch     []string `json:"buildArch,omitempty"`
	ExclusiveArch []string `json:"exclusiveArch,omitempty"`
	ExcludeArch   []string `json:"excludeArch,omitempty"`
}

// EVR is [epoch:]version-release.
func (h Header) EVR() string {
	evr := h.Version + "-" + h.Release
	if h.Epoch > 0 {
		evr = strconv.FormatUint(uint64(h.Epoch), 10) + ":" + evr
	}
	return evr
}

// Format is a query format that makes rpmspec print lines of fields. The first field says what
// the line is; text is quoted for a shell, and so cannot be mistaken for
// anything else whatever a spec puts into it. Tags that a package does not have
// give no line.
var Format = strings.Join([]string{
	`N %{NAME:shescape} %{EPOCHNUM} %{VERSION:shescape} %{RELEASE:shescape} %{ARCH:shescape} %{SUMMARY:shescape}\n`,
	dependencyFormat("P", "PROVIDE"), dependencyFormat("R", "REQUIRE"),
	dependencyFormat("C", "CONFLICT"), dependencyFormat("O", "OBSOLETE"),
	dependencyFormat("WR", "RECOMMEND"), dependencyFormat("WS", "SUGGEST"),
	dependencyFormat("WT", "SUPPLEMENT"), dependencyFormat("WE", "ENHANCE"),
	`[SF %{SOURCE:shescape}\n]`, `[SP %{PATCH:shescape}\n]`,
	`[AB %{BUILDARCHS:shescape}\n]`, `[AI %{EXCLUSIVEARCH:shescape}\n]`, `[AX %{EXCLUDEARCH:shescape}\n]`,
}, "")

func dependencyFormat(key, tag string) string {
	return fmt.Sprintf(`[%s %%{%sNAME:shescape} %%{%sFLAGS} %%{%sVERSION:shescape}\n]`, key, tag, tag, tag)
}

// Parse reads what Format makes rpmspec print.
func Parse(text string) ([]Header, error) {
	p := &parser{rest: text}
	var packages []Header
	for p.rest != "" && p.err == nil {
		key := p.word()
		switch {
		case key == "N":
			packages = append(packages, p.identity())
		case len(packages) == 0:
			p.fail("a package has to come before %q", key)
		default:
			p.property(&packages[len(packages)-1], key)
		}
		p.end()
	}
	return packages, p.err
}

type parser struct {
	rest string
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.rest = ""
}

func (p *parser) identity() Header {
	return Header{
		Name: p.text(), Epoch: p.number(), Version: p.text(), Release: p.text(),
		Arch: p.text(), Summary: p.text(),
	}
}

func (p *parser) property(h *Header, key string) {
	dependencies := map[string]*[]rpm.Dependency{
		"P": &h.Provides, "R": &h.Requires, "C": &h.Conflicts, "O": &h.Obsoletes,
		"WR": &h.Recommends, "WS": &h.Suggests, "WT": &h.Supplements, "WE": &h.Enhances,
	}
	words := map[string]*[]string{
		"SF": &h.Sources, "SP": &h.Patches,
		"AB": &h.BuildArch, "AI": &h.ExclusiveArch, "AX": &h.ExcludeArch,
	}
	switch {
	case dependencies[key] != nil:
		d := rpm.Dependency{Name: p.text(), Flags: rpm.Sense(p.number()), Version: p.text()}
		*dependencies[key] = append(*dependencies[key], d)
	case words[key] != nil:
		*words[key] = append(*words[key], p.text())
	default:
		p.fail("%q is unknown", key)
	}
}

// word reads up to the next space.
func (p *parser) word() string {
	word, rest, ok := strings.Cut(p.rest, " ")
	if !ok {
		p.fail("it ends too early")
		return ""
	}
	p.rest = rest
	return word
}

// text reads what rpm's shescape wrote: in single quotes, those inside as '\”.
func (p *parser) text() string {
	p.rest = strings.TrimPrefix(p.rest, " ")
	if !strings.HasPrefix(p.rest, "'") {
		p.fail("there should be a quoted text")
		return ""
	}
	var b strings.Builder
	rest := p.rest[1:]
	for {
		part, after, ok := strings.Cut(rest, "'")
		if !ok {
			p.fail("a quoted text has no end")
			return ""
		}
		b.WriteString(part)
		if !strings.HasPrefix(after, `\''`) {
			p.rest = after
			return b.String()
		}
		b.WriteByte('\'')
		rest = after[len(`\''`):]
	}
}

func (p *parser) number() uint32 {
	p.rest = strings.TrimPrefix(p.rest, " ")
	digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	n, err := strconv.ParseUint(p.rest[:digits], 10, 32)
	if err != nil {
		p.fail("there should be a number")
		return 0
	}
	p.rest = p.rest[digits:]
	return uint32(n)
}

func (p *parser) end() {
	if p.err != nil {
		return
	}
	rest, ok := strings.CutPrefix(p.rest, "\n")
	if !ok {
		p.fail("a line has too many fields")
		return
	}
	p.rest = rest
}
