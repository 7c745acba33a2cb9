package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// checkRequirements finds what nothing provides, where that is certain.
func checkRequirements(l *linter) {
	c := &requirementChecker{l: l, verdicts: map[string]verdict{}, hints: map[string]string{}}
	for _, s := range l.specs {
		for _, e := range s.evaluated {
			if e.Result == nil {
				continue
			}
			for _, d := range e.Result.Source.Requires {
				c.check(s, e, d, need{tags: []string{"BuildRequires", "BuildPreReq"}, verb: "needed to build this", severity: Error})
			}
			for _, p := range e.Result.Packages {
				for _, d := range p.Requires {
					c.check(s, e, d, need{p.Name, []string{"Requires", "PreReq"}, "required", Error})
				}
				for _, d := range p.Recommends {
					c.check(s, e, d, need{p.Name, []string{"Recommends"}, "recommended", Warning})
				}
			}
		}
	}
}

// need is who wants something and how much.
type need struct {
	pkg      string // empty for the build
	tags     []string
	verb     string
	severity Severity
}

type requirementChecker struct {
	l        *linter
	verdicts map[string]verdict // by cell and requirement
	hints    map[string]string  // by cell and name
}

// verdict is what is known of a requirement.
type verdict struct {
	state   state
	missing rpm.Dependency // with what rpm would not be content
	why     string
}

type state int

const (
	unsure state = iota // someone else may provide it
	met
	missing
)

func (c *requirementChecker) check(s *specFile, e *Evaluated, d rpm.Dependency, n need) {
	w := c.l.world(e.Variant.Target, e.Variant.Arch)
	key := w.target + "/" + w.arch + " " + d.String()
	v, known := c.verdicts[key]
	if !known {
		v = c.judge(w, e, d)
		c.verdicts[key] = v
	}
	if v.state != missing {
		return
	}
	var packages []string
	if n.pkg != "" {
		packages = []string{n.pkg}
	}
	message := fmt.Sprintf("%s is %s, and %s", v.missing, n.verb, v.why)
	if d.Rich() {
		message += fmt.Sprintf(" (of %s)", d)
	}
	at := s.findWord(v.missing.Name, e.Variant, n.tags...)
	c.l.findings.add(at.finding(ruleRequirement, n.severity, message, c.hint(w, e, v.missing), packages...), e)
}

// judge decides a requirement, which may be an expression.
func (c *requirementChecker) judge(w *world, e *Evaluated, d rpm.Dependency) verdict {
	if !d.Rich() {
		return c.leaf(w, e, d)
	}
	p := expression{rest: d.Name, leaf: func(d rpm.Dependency) verdict { return c.leaf(w, e, d) }}
	return p.group(0)
}

func (c *requirementChecker) leaf(w *world, e *Evaluated, d rpm.Dependency) verdict {
	if len(w.providers(d)) > 0 || strings.HasPrefix(d.Name, "rpmlib(") || strings.HasPrefix(d.Name, "config(") || d.Name == "" {
		return verdict{state: met}
	}
	if unexpanded(d.Name) {
		return verdict{} // another rule's
	}
	if ours(d.Name, e.Variant) {
		if w.hidden(d.Name, c.others(w)) {
			return verdict{}
		}
		if there := w.provided[d.Name]; len(there) > 0 {
			return verdict{missing, d, "what there is has the version " + strings.Join(versions(there), " or ")}
		}
		// No version would help.
		return verdict{missing, rpm.Dependency{Name: d.Name}, "no recipe makes it for this target and architecture"}
	}
	if c.l.in.Base == nil {
		return verdict{}
	}
	provided, known := c.l.in.Base.Provides(w.target, w.arch, d)
	switch {
	case provided:
		return verdict{state: met}
	case !known || w.hidden(d.Name, nil):
		return verdict{}
	}
	return verdict{missing, d, "neither the target nor a recipe provides it"}
}

func versions(list []provided) []string {
	var all []string
	for _, p := range list {
		version := p.Version
		if version == "" {
			version = "(none)"
		}
		if !slices.Contains(all, version) && len(all) < 3 {
			all = append(all, version)
		}
	}
	return all
}

// ours says whether only a recipe can provide what a package of that name is.
func ours(name string, v recipes.Variant) bool {
	if strings.ContainsAny(name, "/() ") {
		return false
	}
	d := delimiter(v)
	return strings.HasSuffix(name, d) || strings.Contains(name, d+"-") || strings.HasPrefix(name, strings.TrimPrefix(d, "-")+"-")
}

// delimiter is what the names of a variant's packages end with.
func delimiter(v recipes.Variant) string {
	for _, d := range v.Defines {
		if d.Name == "PROJ_DELIM" && strings.Trim(d.Value, "-") != "" {
			return d.Value
		}
	}
	return "-ohpc"
}

func (c *requirementChecker) others(w *world) []*world {
	var list []*world
	for _, key := range sortedKeys(c.l.worlds) {
		if other := c.l.worlds[key]; other != w {
			list = append(list, other)
		}
	}
	return list
}

// hint tells where there is such a package, or the name that was probably meant.
func (c *requirementChecker) hint(w *world, e *Evaluated, d rpm.Dependency) string {
	key := w.target + "/" + w.arch + " " + d.Name
	hint, known := c.hints[key]
	if !known {
		if len(w.provided[d.Name]) == 0 {
			hint = c.search(w, e, d.Name)
		}
		c.hints[key] = hint
	}
	return hint
}

func (c *requirementChecker) search(w *world, e *Evaluated, name string) string {
	if cells := c.madeFor(name); len(cells) > 0 {
		return fmt.Sprintf("it is made for %s only: require it there only, as with %%ifarch, or do not build this here", short(cells, 4))
	}
	// With the families left out, a package of another one is told from a typing error.
	if w.stems == nil {
		w.stems = map[string][]string{}
		for _, n := range sortedKeys(w.names) {
			s := c.l.stem(n, delimiter(e.Variant))
			w.stems[s] = append(w.stems[s], n)
		}
	}
	stem := c.l.stem(name, delimiter(e.Variant))
	if same := w.stems[stem]; len(same) > 0 {
		return "there is " + short(same, 4)
	}
	if stem == "" {
		return ""
	}
	near := w.stems[strict.Nearest(stem, sortedKeys(w.stems))]
	if len(near) == 0 {
		for i := strings.LastIndexByte(stem, '-'); i > 0; i = strings.LastIndexByte(stem[:i], '-') {
			if longer := w.stems[stem[:i]]; len(longer) > 0 {
				return "there is " + short(longer, 4)
			}
		}
		return ""
	}
	best := strict.Nearest(name, near)
	if best == "" {
		best = near[0]
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// madeFor are the cells in which something of that name is provided: architectures
// where it is for all targets that have them, targets likewise, or single cells.
func (c *requirementChecker) madeFor(name string) []string {
	made, all := map[string]int{}, map[string]int{}
	var in []*world
	for _, key := range sortedKeys(c.l.worlds) {
		w := c.l.worlds[key]
		all[w.target]++
		all[w.arch]++
		if len(w.provided[name]) > 0 {
			made[w.target]++
			made[w.arch]++
			in = append(in, w)
		}
	}
	var words []string
	for _, w := range in {
		word := w.target + "/" + w.arch
		if made[w.arch] == all[w.arch] && all[w.arch] > 1 {
			word = w.arch
		} else if made[w.target] == all[w.target] {
			word = w.target
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// stem is a package's name without the project's ending and without families.
func (l *linter) stem(name, delimiter string) string {
	name = strings.Replace(name+"-", delimiter+"-", "-", 1)
	for _, f := range l.in.Catalog.Families {
		for _, m := range f.Members {
			name = strings.Replace(name, "-"+m.Name+"-", "-", 1)
		}
	}
	return strings.TrimSuffix(name, "-")
}

// expression reads a rich dependency and decides as much of it as is certain
// without knowing what will be installed beside it.
type expression struct {
	rest string
	leaf func(rpm.Dependency) verdict
}

// maxExpression bounds groups in groups.
const maxExpression = 32

// group reads from an opening parenthesis to the one that closes it.
func (p *expression) group(depth int) verdict {
	if depth > maxExpression || !strings.HasPrefix(p.rest, "(") {
		p.rest = ""
		return verdict{}
	}
	p.rest = p.rest[1:]
	var operands []verdict
	operators := map[string]bool{}
	for {
		p.rest = strings.TrimLeft(p.rest, " \t")
		switch {
		case p.rest == "":
			return verdict{} // never closed
		case p.rest[0] == ')':
			p.rest = p.rest[1:]
			return combine(operands, operators)
		case p.rest[0] == '(':
			operands = append(operands, p.group(depth+1))
		default:
			word := p.word()
			if richOperators[word] {
				operators[word] = true
				continue
			}
			operands = append(operands, p.leaf(p.dependency(word)))
		}
	}
}

var richOperators = map[string]bool{"and": true, "or": true, "with": true, "if": true, "unless": true, "else": true, "without": true}

// word reads up to a space, or to a parenthesis that closes none of the word's.
func (p *expression) word() string {
	level, i := 0, 0
	for ; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '(':
			level++
		case ')':
			level--
		}
		if level < 0 || p.rest[i] == ' ' || p.rest[i] == '\t' {
			break
		}
	}
	word := p.rest[:i]
	p.rest = p.rest[i:]
	return word
}

// dependency reads what follows a name: nothing, or a comparison.
func (p *expression) dependency(name string) rpm.Dependency {
	d := rpm.Dependency{Name: name}
	before := p.rest
	p.rest = strings.TrimLeft(p.rest, " \t")
	operator := p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, "<=>"))]
	if operator == "" {
		p.rest = before
		return d
	}
	p.rest = strings.TrimLeft(p.rest[len(operator):], " \t")
	for _, c := range operator {
		d.Flags |= map[rune]rpm.Sense{'<': rpm.Less, '=': rpm.Equal, '>': rpm.Greater}[c]
	}
	d.Version = p.word()
	return d
}

func combine(operands []verdict, operators map[string]bool) verdict {
	var certain bool
	switch {
	case len(operands) == 0:
		return verdict{}
	case len(operators) == 0:
		return operands[0]
	case len(operators) > 1:
		return verdict{}
	case operators["or"]:
		for _, v := range operands {
			if v.state != missing {
				return verdict{state: v.state}
			}
		}
		return operands[0]
	case operators["and"], operators["with"]:
		certain = true
		for _, v := range operands {
			if v.state == missing {
				return v
			}
			certain = certain && v.state == met
		}
	}
	if certain {
		return verdict{state: met}
	}
	return verdict{}
}
