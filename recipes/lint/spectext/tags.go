package spectext

import (
	"regexp"
	"slices"
	"strings"
)

// Tag is a line such as "Requires(post): a, b".
type Tag struct {
	Position        // of its value
	Name     string // as written
	Value    string // as written
	When     Guard
}

// Line is a line of a section, such as a path in %files.
type Line struct {
	Position
	Text    string // without spaces around it
	Section Section
	When    Guard
}

// Section is a part of a spec: its keyword without the percent sign, and what
// stands behind it. The first one, and each %package, hold tags.
type Section struct{ Keyword, Args string }

// sections are the keywords that begin one (rpm: parseSpec.c, partList).
var sections = regexp.MustCompile(`^%(package|description|prep|generate_buildrequires|conf|build|install|check|clean|` +
	`pre|post|preun|postun|pretrans|posttrans|preuntrans|postuntrans|verifyscript|files|changelog|sepolicy|sourcelist|patchlist|` +
	`trigger|triggerin|triggerun|triggerpostun|triggerprein|filetrigger[a-z]*|transfiletrigger[a-z]*)(?:[ \t]+(.*))?$`)

var tagLine = regexp.MustCompile(`^[ \t]*([A-Za-z]+[0-9]*)(?:\([^()]*\))?[ \t]*:[ \t]*(.*)$`)

// Tags are those of the source package and of all binary packages.
func (t *Text) Tags() []Tag { return t.tags }

func (t *Text) readTags() []Tag {
	var tags []Tag
	t.walk(func(i int, section Section, when Guard) {
		if section.Keyword != "" && section.Keyword != "package" {
			return
		}
		line := t.line(i)
		if m := tagLine.FindStringSubmatchIndex(line); m != nil {
			tags = append(tags, Tag{
				Position: Position{i + 1, m[4] + 1}, Name: line[m[2]:m[3]],
				Value: strings.TrimSpace(line[m[4]:]), When: when,
			})
		}
	})
	return tags
}

// Packages are the lines that begin with %package.
func (t *Text) Packages() []Line {
	var lines []Line
	for i := range t.lines {
		line := t.line(i)
		text := strings.TrimSpace(line)
		if m := sections.FindStringSubmatch(text); m != nil && m[1] == "package" {
			section := Section{m[1], strings.TrimSpace(m[2])}
			lines = append(lines, Line{Position: Position{i + 1, strings.Index(line, text) + 1}, Text: text, Section: section})
		}
	}
	return lines
}

// Files are the lines of the %files sections.
func (t *Text) Files() []Line {
	var lines []Line
	t.walk(func(i int, section Section, when Guard) {
		line := t.line(i)
		text := strings.TrimSpace(line)
		if section.Keyword == "files" && text != "" && text[0] != '#' {
			column := strings.Index(line, text) + 1
			lines = append(lines, Line{Position{i + 1, column}, text, section, when})
		}
	})
	return lines
}

// SectionOf is the section that a line, from 1, belongs to.
func (t *Text) SectionOf(line int) Section {
	var found Section
	t.walk(func(i int, section Section, _ Guard) {
		if i+1 <= line {
			found = section
		}
	})
	return found
}

// walk goes through all lines that do not begin a section or a condition.
func (t *Text) walk(visit func(i int, section Section, when Guard)) {
	var section Section
	var conditions []condition
	var when Guard
	for i := range t.lines {
		line := strings.TrimSpace(t.line(i))
		if strings.HasPrefix(line, "%") {
			var is bool
			if conditions, is = conditional(conditions, line); is {
				when = guard(conditions)
				continue
			}
			if m := sections.FindStringSubmatch(line); m != nil {
				section = Section{m[1], strings.TrimSpace(m[2])}
				continue
			}
		}
		visit(i, section, when)
	}
}

// Guard says for which architectures a line can count, as far as the conditions
// around it tell. Those that ask for anything but the architecture may hold.
type Guard struct {
	never bool
	only  []string // nil: all
	not   []string
}

// Holds says whether the line can count for an architecture.
func (g Guard) Holds(arch string) bool {
	return !g.never && (g.only == nil || slices.Contains(g.only, arch)) && !slices.Contains(g.not, arch)
}

// condition is an open %if.
type condition struct {
	archs   []string // that it asks for
	negated bool
	unknown bool // it asks for something else
	never   bool
}

var (
	ifLine   = regexp.MustCompile(`^%(ifarch|ifnarch|ifos|ifnos|if|elifarch|elifos|elif|else|endif)\b[ \t]*(.*)$`)
	archTest = regexp.MustCompile(`^"?%\{?_?(?:_target_cpu|_arch)\}?"?[ \t]*(==|!=)[ \t]*"?([a-z0-9_]+)"?$`)
)

// maxConditions bounds conditions in conditions.
const maxConditions = 100

// conditional follows a line that begins or ends a condition.
func conditional(open []condition, line string) ([]condition, bool) {
	m := ifLine.FindStringSubmatch(line)
	if m == nil {
		return open, false
	}
	arg, _, _ := strings.Cut(m[2], "#")
	arg = strings.TrimSpace(arg)
	last := len(open) - 1
	if len(open) >= maxConditions && m[1] != "endif" {
		return open, true
	}
	switch m[1] {
	case "ifarch", "ifnarch":
		return append(open, condition{archs: strings.Fields(arg), negated: m[1] == "ifnarch", unknown: strings.Contains(arg, "%")}), true
	case "if":
		c := condition{unknown: true}
		if test := archTest.FindStringSubmatch(arg); test != nil {
			c = condition{archs: []string{test[2]}, negated: test[1] == "!="}
		} else if arg == "0" {
			c = condition{never: true}
		}
		return append(open, c), true
	case "ifos", "ifnos":
		return append(open, condition{unknown: true}), true
	}
	if last < 0 {
		return open, true // rpm will complain
	}
	switch m[1] {
	case "endif":
		return open[:last], true
	case "else":
		c := open[last]
		c.negated = !c.negated
		c.unknown = c.unknown || c.never
		c.never = false
		return append(slices.Clone(open[:last]), c), true
	default:
		return append(slices.Clone(open[:last]), condition{unknown: true}), true
	}
}

func guard(open []condition) Guard {
	var g Guard
	for _, c := range open {
		switch {
		case c.never:
			g.never = true
		case c.unknown:
		case c.negated:
			g.not = append(g.not, c.archs...)
		case g.only == nil:
			g.only = append([]string{}, c.archs...)
		default:
			g.only = slices.DeleteFunc(g.only, func(a string) bool { return !slices.Contains(c.archs, a) })
		}
	}
	return g
}
