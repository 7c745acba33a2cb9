package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
)

// checkCommands finds what rpm runs while it parses, beyond commands that only
// turn words into other words.
func checkCommands(l *linter) {
	seen := map[*sourceText]bool{}
	for _, s := range l.specs {
		for _, f := range s.texts() {
			if seen[f] {
				continue
			}
			seen[f] = true
			defined := map[string]string{}
			for _, d := range f.text.Definitions() {
				defined[d.Name] = d.Value
			}
			for _, r := range f.text.References() {
				for _, b := range behaviours(r, defined) {
					severity := Warning
					if b.kind.severe {
						severity = Error
					}
					message := fmt.Sprintf("while rpm parses the spec, %s %s: %s", b.what, b.kind.does, b.kind.why)
					l.findings.add(f.at(r.Position).finding(ruleCommand, severity, message, b.kind.hint), l.readers(f.path)...)
				}
			}
		}
	}
}

// behaviour is something that a reference does, and what kind of thing it is.
type behaviour struct {
	what string
	kind kind
}

// kind is why a command must not run at parse time.
type kind struct {
	does, why, hint string
	severe          bool
}

// The plan is made by parsing in a bare container, the build by parsing again in
// one with the build's dependencies.
const twice = "the plan reads the spec in a bare container and the build in a full one, and they need not agree"

var (
	network = kind{
		"asks the network", "there is none in the containers that read and build specs",
		"name what it fetches as a source, with its digest", true,
	}
	clock = kind{
		"reads the clock", "each reading gives another spec, and no build can be repeated",
		"write the date down; for a snapshot, recipe bump writes %{pin_version}", true,
	}
	host = kind{
		"looks at the system", twice,
		"test for the distribution with %if 0%{?rhel}, or give the value as a define of the targets", false,
	}
	files = kind{
		"reads files", twice,
		"give the value as a define of the targets, or test for the distribution with %if 0%{?rhel}", false,
	}
	interpreter = kind{
		"runs a program", "what it prints depends on the interpreter that is installed; " + twice,
		"use the macro that the distribution has for it, such as %{perl_vendorarch} or %{python3_sitelib}", false,
	}
	processors = kind{
		"counts the processors", "the spec, and with it the package, would differ from machine to machine",
		`use "$RPM_BUILD_NCPUS" in scripts`, false,
	}
	unknown = kind{
		"is run", "it is not among the commands that only turn words into other words; " + twice,
		"use rpm's own macros, such as %{lower:…}, %{gsub:…} or %[…], or do it in a script of the build", false,
	}
)

// The short list: their output depends on their arguments and input alone.
var pure = set(`echo printf tr sed awk gawk mawk cut head tail sort uniq expr rev wc tac paste seq fold nl basename dirname
	test [ [[ true false : grep egrep fgrep cat tee xargs bc dc set shift return exit break continue local export unset`)

// kindOf says of what kind a command is.
func kindOf(name string) (kind, bool) {
	for _, group := range []struct {
		names string
		kind  kind
	}{
		{"curl wget git svn hg ssh scp rsync ftp nc dig host ping dnf yum zypper apt apt-get pip pip3 gem npm", network},
		{"uptime", clock},
		{"rpm rpmquery uname hostname whoami id arch getconf lsb_release lscpu lspci ps env printenv pwd ls find which type " +
			"readlink realpath stat pkg-config pkgconf gcc cc g++ clang llvm-config ld ldd ldconfig systemctl getent locale df free " +
			"mount modprobe depmod mpicc", host},
		{"source . less more od strings md5sum sha1sum sha256sum", files},
		{"perl python python2 python3 ruby lua R Rscript php node java tclsh guile bash sh dash zsh ksh csh tcsh eval", interpreter},
		{"nproc", processors},
	} {
		if slices.Contains(strings.Fields(group.names), name) {
			return group.kind, true
		}
	}
	return kind{}, false
}

var commandMacro = regexp.MustCompile(`^%\{?[?!]*([A-Za-z0-9_]+)`)

// behaviours are what is wrong with what a reference runs, each once. defined are
// the macros of the text: what one of them runs counts where it is a command.
func behaviours(r spectext.Reference, defined map[string]string) []behaviour {
	var found []behaviour
	switch r.Kind {
	case spectext.Shell:
		var commands []spectext.Command
		for _, c := range spectext.Commands(r.Body) {
			if m := commandMacro.FindStringSubmatch(c.Name); m != nil && defined[m[1]] != "" {
				commands = append(commands, spectext.Commands(defined[m[1]])...)
			} else {
				commands = append(commands, c)
			}
		}
		for _, c := range commands {
			if b, bad := behaviourOf(c); bad && !slices.ContainsFunc(found, func(f behaviour) bool { return f.what == b.what }) {
				found = append(found, b)
			}
		}
	case spectext.Lua:
		for _, call := range luaCalls {
			if m := call.pattern.FindStringSubmatch(r.Body); m != nil {
				found = append(found, behaviour{m[1] + "()", call.kind})
			}
		}
	case spectext.Macro:
		switch r.Name {
		case "getncpus":
			found = append(found, behaviour{"%{getncpus}", processors})
		case "getenv":
			found = append(found, behaviour{"%{getenv:…}", host})
		case "load", "uncompress", "exists":
			if r.Braced && !strings.Contains(r.Body, "_sourcedir") {
				found = append(found, behaviour{"%{" + r.Name + ":…}", files})
			}
		}
	}
	return found
}

var luaCalls = []struct {
	pattern *regexp.Regexp
	kind    kind
}{
	{regexp.MustCompile(`\b(os\.(?:execute|remove|rename|tmpname)|io\.popen|rpm\.(?:execute|spawn)|posix\.(?:exec[a-z]*|fork|popen[a-z]*))\b`), unknown},
	{regexp.MustCompile(`\b(os\.(?:time|date|clock)|posix\.(?:time|clock_gettime|gettimeofday))\b`), clock},
	{regexp.MustCompile(`\b(os\.getenv|posix\.(?:getenv|uname|gethostname|getpasswd|getlogin|stat|access|dir|files|glob))\b`), host},
	{regexp.MustCompile(`\b(io\.(?:open|lines|input|read)|dofile|loadfile|rpm\.open|rpm\.glob)\b`), files},
}

// behaviourOf judges one command.
func behaviourOf(c spectext.Command) (behaviour, bool) {
	for _, file := range c.Reads {
		if file != "/dev/null" {
			return behaviour{"< " + file, files}, true
		}
	}
	name := c.Name
	if m := commandMacro.FindStringSubmatch(name); m != nil {
		name = strings.TrimLeft(m[1], "_") // %{__perl}
	}
	name = path.Base(name)
	shown := "“" + name + "”"
	switch {
	case c.Name == "":
		return behaviour{}, false
	case name == "date":
		return behaviour{shown, clock}, !fixedDate(c.Words)
	case name == "command":
		return behaviour{shown, host}, true
	case name == "test" || name == "[" || name == "[[":
		return behaviour{shown, files}, testsFiles(c.Words)
	case name == "xargs":
		b, bad := behaviourOf(spectext.Command{Name: firstWord(c.Words)})
		b.what = "“xargs " + firstWord(c.Words) + "”"
		return b, bad
	case pure[name]:
		return behaviour{shown, files}, readsFiles(name, c.Words)
	}
	if k, listed := kindOf(name); listed {
		return behaviour{shown, k}, true
	}
	return behaviour{shown, unknown}, true
}

// fixedDate says whether date is told which one.
func fixedDate(words []string) bool {
	for i, w := range words {
		value := ""
		switch {
		case (w == "-d" || w == "--date") && i+1 < len(words):
			value = words[i+1]
		case strings.HasPrefix(w, "--date="):
			value = strings.TrimPrefix(w, "--date=")
		case strings.HasPrefix(w, "-d") && len(w) > 2:
			value = w[2:]
		}
		if strings.HasPrefix(value, "@") || len(value) > 3 && strings.Trim(value[:4], "0123456789") == "" {
			return true
		}
	}
	return false
}

func testsFiles(words []string) bool {
	for _, w := range words {
		if len(w) == 2 && w[0] == '-' && strings.IndexByte("abcdefghkprstuwxGLNOS", w[1]) >= 0 {
			return true
		}
	}
	return false
}

// readers are the commands of the short list that read files when they are given
// some: how many words come before those, and which options have a word of their own.
var readers = map[string]struct {
	operands int
	options  string
}{
	"sed": {1, "-e -l"}, "awk": {1, "-F -v"}, "gawk": {1, "-F -v"}, "mawk": {1, "-F -v"},
	"grep": {1, "-e -m -A -B -C"}, "egrep": {1, "-e -m -A -B -C"}, "fgrep": {1, "-e -m -A -B -C"},
	"cut": {0, "-d -f -c -b"}, "head": {0, "-n -c"}, "tail": {0, "-n -c"}, "sort": {0, "-k -t -S"}, "uniq": {0, "-f -s -w"},
	"paste": {0, "-d"}, "fold": {0, "-w"}, "rev": {}, "wc": {}, "tac": {}, "nl": {}, "cat": {}, "bc": {}, "dc": {},
}

// readsFiles says whether a command of the short list is given files to read.
func readsFiles(name string, words []string) bool {
	r, reads := readers[name]
	if !reads {
		return false
	}
	options := strings.Fields(r.options)
	n, limit := 0, r.operands
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "-f" && limit == 1:
			return true // a script that is a file
		case slices.Contains(options, w):
			if w == "-e" {
				limit = 0 // the script is not a word of its own
			}
			i++
		case !strings.HasPrefix(w, "-"):
			n++
		}
	}
	return n > limit
}

func firstWord(words []string) string {
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			return path.Base(w)
		}
	}
	return "echo"
}
