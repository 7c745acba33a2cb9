package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
)

// findTag is the place of a tag's value, in the spec or what it includes.
func (s *specFile) findTag(arch string, names ...string) place {
	for _, f := range s.texts() {
		for _, tag := range f.text.Tags() {
			if tag.When.Holds(arch) && isTag(tag, names) {
				return f.at(tag.Position)
			}
		}
	}
	return s.whole()
}

func isTag(tag spectext.Tag, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.EqualFold(strings.TrimRight(tag.Name, "0123456789"), name)
	})
}

// maxSearches is after how many findings places are no longer looked for in a
// spec: one can be made of nothing but mistakes, and each costs a reading.
const maxSearches = 10_000

// findWord is the place at which the value of one of these tags has a word that
// can become name, when what are macros in it are expanded. Of several it is the
// one with the most letters in common.
func (s *specFile) findWord(name string, v recipes.Variant, tags ...string) place {
	if s.recipe.Kind == recipes.MetaPackage {
		return s.findRequirement(name, v)
	}
	best, found := 0, s.whole()
	if s.searches++; s.searches > maxSearches {
		return found
	}
	for _, f := range s.texts() {
		for _, tag := range f.text.Tags() {
			if !tag.When.Holds(v.Arch) || !isTag(tag, tags) {
				continue
			}
			for _, w := range words(tag.Value) {
				pattern := wildcards(w.text)
				literal := len(pattern) - strings.Count(pattern, anything)
				if literal > best && matches(pattern, name) {
					best = literal
					found = f.at(spectext.Position{Line: tag.Line, Column: tag.Column + w.offset})
				}
			}
		}
	}
	return found
}

// findRequirement looks for a package in the list of a meta-package.
func (s *specFile) findRequirement(name string, v recipes.Variant) place {
	spellings := []string{name}
	for _, p := range v.Picks {
		for _, spelling := range spellings {
			spellings = append(spellings, strings.ReplaceAll(spelling, p.Member, "{"+p.Family+"}"))
		}
	}
	for _, spelling := range slices.Backward(spellings) {
		if p, ok := s.text.Find(spelling); ok {
			return s.at(p)
		}
	}
	return s.whole()
}

type word struct {
	text   string
	offset int
}

// words are those of a list, between spaces and commas that are in no braces.
func words(value string) []word {
	var list []word
	begin, level := -1, 0
	for i := 0; i <= len(value); i++ {
		separator := i == len(value)
		if !separator {
			switch value[i] {
			case '{', '[':
				level++
			case '}', ']':
				level--
			case ' ', '\t', ',', ';':
				separator = level <= 0
			}
		}
		switch {
		case separator && begin >= 0:
			text := strings.TrimLeft(value[begin:i], "(") // of a rich dependency
			list = append(list, word{strings.TrimRight(text, ")"), i - len(text)})
			begin = -1
		case !separator && begin < 0:
			begin = i
		}
	}
	return list
}

// anything stands in a pattern for what macros may become.
const anything = "\x00"

// wildcards puts anything for each macro.
func wildcards(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		b.WriteString(anything)
		if i+1 < len(text) && text[i+1] == '{' {
			level := 0
			for i++; i < len(text); i++ {
				if text[i] == '{' {
					level++
				} else if text[i] == '}' {
					if level--; level == 0 {
						break
					}
				}
			}
			continue
		}
		for i+1 < len(text) && (text[i+1] == '_' || text[i+1] == '?' || text[i+1]|0x20 >= 'a' && text[i+1]|0x20 <= 'z' || text[i+1] >= '0' && text[i+1] <= '9') {
			i++
		}
	}
	return b.String()
}

// matches says whether a pattern can become name.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, anything)
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	if !strings.HasSuffix(name, last) {
		return false
	}
	name = name[:len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}

// short is a list of at most n words.
func short(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + ", …"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
