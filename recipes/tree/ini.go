package tree

import (
	"regexp"
	"strings"
)

// ini is a configuration as Python's configparser reads it, as far as OpenHPC
// makes use of it: sections, options with continuation lines, comments.
//
// Source: Python's documentation of configparser, "Supported INI File Structure",
// with inline_comment_prefixes='#'.
type ini struct {
	file     string // below the tree
	sections []*section
}

type section struct {
	name    string
	line    int
	options []*option
}

// option is key = value. A later one of the same key is a mistake of the file.
type option struct {
	key, value string
	line       int
}

func (s *section) option(key string) *option {
	for _, o := range s.options {
		if o.key == key {
			return o
		}
	}
	return nil
}

var (
	sectionLine = regexp.MustCompile(`^\[([^\]]+)\]\s*$`)
	optionLine  = regexp.MustCompile(`^([^=:\s][^=:]*?)\s*[=:]\s*(.*)$`)
)

// parse reads a configuration. What cannot be read is reported with its line.
func (l *loader) parse(file string, text []byte) *ini {
	c := &ini{file: file}
	var current *section
	var last *option
	indent := 0
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = uncomment(strings.TrimRight(line, "\r\n"))
		body := strings.TrimSpace(line)
		if body == "" {
			continue
		}
		depth := len(line) - len(strings.TrimLeft(line, " \t"))
		if last != nil && depth > indent {
			last.value += "\n" + body
			continue
		}
		indent = depth
		if m := sectionLine.FindStringSubmatch(body); m != nil {
			for _, s := range c.sections {
				if s.name == m[1] {
					l.fail(file, number, "", "section [%s] is there twice; the first is in line %d", m[1], s.line)
				}
			}
			current, last = &section{name: m[1], line: number}, nil
			c.sections = append(c.sections, current)
			continue
		}
		m := optionLine.FindStringSubmatch(body)
		if m == nil || current == nil {
			l.fail(file, number, "", "this is neither a [section] nor an option of one: %q", clip(body))
			return c
		}
		if other := current.option(m[1]); other != nil {
			l.fail(file, number, "", "option %s of [%s] is there twice; the first is in line %d", m[1], current.name, other.line)
		}
		last = &option{key: m[1], value: m[2], line: number}
		current.options = append(current.options, last)
	}
	return c
}

// uncomment takes a comment off a line: # where it begins the line or follows a
// space, and ; at the beginning.
func uncomment(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), ";") {
		return ""
	}
	for i, c := range line {
		if c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}

// clip shortens what is quoted in an error.
func clip(text string) string {
	const limit = 60
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// list reads an option as a Python list of strings.
func (l *loader) list(c *ini, o *option) []string {
	if o == nil {
		return nil
	}
	values, err := pythonList(o.value)
	if err != "" {
		l.fail(c.file, o.line, "", "option %s is not a list of strings: %s", o.key, err)
	}
	return values
}

// pythonList reads ["a", 'b'] and returns what is wrong with it, or "".
func pythonList(text string) ([]string, string) {
	rest := strings.TrimSpace(text)
	if !strings.HasPrefix(rest, "[") {
		return nil, "it does not begin with ["
	}
	rest = strings.TrimSpace(rest[1:])
	var values []string
	for {
		if after, ok := strings.CutPrefix(rest, "]"); ok {
			if strings.TrimSpace(after) != "" {
				return nil, "something follows its ]"
			}
			return values, ""
		}
		value, after, ok := pythonString(rest)
		if !ok {
			return nil, "there should be a string in quotes at " + clip(rest)
		}
		values = append(values, value)
		rest = strings.TrimSpace(after)
		if next, ok := strings.CutPrefix(rest, ","); ok {
			rest = strings.TrimSpace(next)
		} else if !strings.HasPrefix(rest, "]") {
			return nil, "there should be a comma or ] after " + clip(value)
		}
	}
}

// pythonString reads a string in single or double quotes. Of the escapes only
// those are known that mean the character itself; others stay as they are, so that
// a regular expression means what it looks like even where Python reads \b as a
// backspace.
func pythonString(text string) (value, rest string, ok bool) {
	if text == "" || text[0] != '"' && text[0] != '\'' {
		return "", "", false
	}
	quote := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return b.String(), text[i+1:], true
		case c == '\n':
			return "", "", false
		case c == '\\' && i+1 < len(text) && strings.IndexByte(`\'"`, text[i+1]) >= 0:
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
