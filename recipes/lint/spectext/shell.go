package spectext

import "strings"

// Command is a command of a piece of shell.
type Command struct {
	Name  string   // its first word, as written
	Words []string // what follows, without redirections
	Reads []string // files that are redirected into it
}

// Commands are those that a piece of shell runs, as far as its words tell: in
// pipelines, lists and substitutions. It reads what specs have in one or two
// lines, not the whole language: of what it does not know, such as case, words
// come out as commands.
func Commands(shell string) []Command {
	s := &shellScanner{}
	s.list(shell, 0)
	return s.found
}

type shellScanner struct {
	found []Command

	command Command
	words   int // of the command so far, its name included
	word    strings.Builder
	in      bool   // a word
	after   string // the redirection that the next word belongs to
}

// maxSubstitutions bounds substitutions in substitutions.
const maxSubstitutions = 16

// list reads commands with what is between them.
func (s *shellScanner) list(text string, depth int) {
	if depth > maxSubstitutions {
		return
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			s.put(text[i : i+1])
		case c == '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				end = len(text) - i - 1
			}
			s.put(text[i+1 : i+1+end])
			i += end + 1
		case c == '"':
			i = s.quoted(text, i, depth)
		case c == '`', c == '$' && strings.HasPrefix(text[i:], "$("):
			i = s.substitution(text, i, depth)
		case c == '#' && !s.in:
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case c == ' ' || c == '\t':
			s.endWord()
		case strings.IndexByte("\n;|&(){}", c) >= 0 && !s.braces(text, i):
			if c == '&' && (strings.HasSuffix(s.after, ">") || strings.HasSuffix(s.after, "<")) {
				s.put("&")
				continue
			}
			s.endCommand()
		case c == '<' || c == '>':
			i = s.redirection(text, i)
		default:
			s.put(text[i : i+1])
		}
	}
	s.endCommand()
}

// braces says whether a brace is part of a word, as in ${x}, %{x} and {a,b}.
func (s *shellScanner) braces(text string, i int) bool {
	switch text[i] {
	case '{':
		return s.in || i+1 < len(text) && strings.IndexByte(" \t\n", text[i+1]) < 0
	case '}':
		return s.in
	}
	return false
}

func (s *shellScanner) put(text string) {
	s.in = true
	s.word.WriteString(text)
}

// quoted reads a text in double quotes, and returns where it ends.
func (s *shellScanner) quoted(text string, i, depth int) int {
	s.put("")
	for i++; i < len(text) && text[i] != '"'; i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			s.put(text[i : i+1])
		case text[i] == '`', strings.HasPrefix(text[i:], "$("):
			i = s.substitution(text, i, depth)
		default:
			s.put(text[i : i+1])
		}
	}
	return i
}

// substitution reads `…` or $(…), and returns where it ends.
func (s *shellScanner) substitution(text string, i, depth int) int {
	begin, end := i+1, len(text)
	if text[i] == '`' {
		if n := strings.IndexByte(text[begin:], '`'); n >= 0 {
			end = begin + n
		}
	} else {
		begin++
		level := 1
		for j := begin; j < len(text); j++ {
			if text[j] == '(' {
				level++
			} else if text[j] == ')' {
				if level--; level == 0 {
					end = j
					break
				}
			}
		}
	}
	s.put("$()")
	inner := &shellScanner{}
	inner.list(text[begin:end], depth+1)
	s.found = append(s.found, inner.found...)
	return end
}

// redirection reads < or > with what belongs to it, and returns its last byte.
func (s *shellScanner) redirection(text string, i int) int {
	if s.in && strings.Trim(s.word.String(), "0123456789") == "" {
		s.word.Reset() // the number of a file descriptor
		s.in = false
	}
	s.endWord()
	begin := i
	for i+1 < len(text) && (text[i+1] == '<' || text[i+1] == '>') {
		i++
	}
	s.after = text[begin : i+1]
	return i
}

func (s *shellScanner) endWord() {
	if !s.in {
		return
	}
	word := s.word.String()
	s.word.Reset()
	s.in = false
	switch {
	case s.after != "":
		if s.after == "<" && !strings.HasPrefix(word, "&") {
			s.command.Reads = append(s.command.Reads, word)
		}
		s.after = ""
	case s.words == 0 && (opensCommand[word] || assignment(word)):
	case s.words == 0:
		s.command.Name = word
		s.words++
	default:
		s.command.Words = append(s.command.Words, word)
		s.words++
	}
}

func (s *shellScanner) endCommand() {
	s.endWord()
	s.after = ""
	if (s.words > 0 && !noCommand[s.command.Name]) || len(s.command.Reads) > 0 {
		s.found = append(s.found, s.command)
	}
	s.command, s.words = Command{}, 0
}

// Words after which a command begins.
var opensCommand = map[string]bool{
	"if": true, "then": true, "else": true, "elif": true, "while": true, "until": true, "do": true, "!": true,
	"time": true, "exec": true, "command": true,
}

// Words that begin something other than a command.
var noCommand = map[string]bool{"for": true, "done": true, "fi": true, "esac": true}

func assignment(word string) bool {
	n := nameLength(word)
	return n > 0 && n < len(word) && word[n] == '='
}
