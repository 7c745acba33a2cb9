package lint_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint"
)

// commands are the complaints about one value of a macro, without their reasons.
func commands(t *testing.T, text string) []string {
	t.Helper()
	r := &recipes.Recipe{Name: "a", Kind: recipes.Component}
	findings, err := lint.Check(lint.Input{
		Catalog:   &recipes.Catalog{},
		Evaluated: []lint.Evaluated{{Variant: recipes.Variant{Recipe: r}, Path: "a.spec", Text: []byte(text)}},
	})
	require.NoError(t, err)
	var found []string
	for _, f := range findings {
		if f.Rule == "parse-time-command" {
			message, _, _ := strings.Cut(strings.TrimPrefix(f.Message, "while rpm parses the spec, "), ": ")
			found = append(found, f.Severity.String()+" "+message)
		}
	}
	return found
}

func TestCommandsThatMayRun(t *testing.T) {
	for _, shell := range []string{
		"echo %{pname} | tr [a-z] [A-Z] | tr - _",
		`tr "." "_" <<< %{version}`,
		"echo %{version} | cut -d. -f1,2",
		"echo a | sed -e 's/a/b/' -e 's/c/d/'",
		"echo a | sed -n 's/a/b/p'",
		"echo a | awk -F. '{print $1}'",
		"echo a | grep -q a && echo 1 || :",
		"echo a | grep -e a",
		"echo a | head -c 3",
		"echo a | head -n 1 | tail -1",
		"echo a | sort -k 1 | uniq -c | wc -l",
		"echo a | cat",
		"echo a | cat -",
		"echo a | xargs",
		"basename %{name} .x",
		"expr 1 + 1",
		"test %{a} = b || [ -z %{c} ] && echo 1",
		"date -u -d @0 +%%Y",
		"date --date=2024-10-21 +%%s",
		"cat < /dev/null",
		"if true; then echo a; else echo b; fi",
		"for i in 1 2; do echo $i; done",
		"X=1; export X; echo $X",
		"%{__sed} -e s/a/b/ <<< x",
		"/usr/bin/printf %%s x",
		"",
	} {
		require.Empty(t, commands(t, "%define value %("+shell+")\n"), shell)
	}
	require.Empty(t, commands(t, "%%(date) %%{lua: os.execute('x')} %dnl %(date)\n"))
	require.Empty(t, commands(t, "%{lua: print(string.upper(rpm.expand('%{name}')))}\n"))
	require.Empty(t, commands(t, "%{load:%{_sourcedir}/macros}\n"))
	require.Empty(t, commands(t, "%define env() echo %1 | grep -q x\n%{expand: %%define f() %%((%{env a})||(%{env b}))}\n"))
}

func TestCommandsThatMustNot(t *testing.T) {
	for shell, want := range map[string]string{
		"curl https://example.org":               "error “curl” asks the network",
		"git describe":                           "error “git” asks the network",
		"date +%%Y":                              "error “date” reads the clock",
		"date -d yesterday":                      "error “date” reads the clock",
		"rpm -q --qf '%%{VERSION}' kernel-devel": "warning “rpm” looks at the system",
		"uname -r":                               "warning “uname” looks at the system",
		"echo `hostname`":                        "warning “hostname” looks at the system",
		`echo "$(whoami)"`:                       "warning “whoami” looks at the system",
		"which clang >/dev/null 2>&1; echo $?":   "warning “which” looks at the system",
		"readlink /usr/src/linux | sed s/a/b/":   "warning “readlink” looks at the system",
		"nproc":                                  "warning “nproc” counts the processors",
		"cat /etc/os-release":                    "warning “cat” reads files",
		"grep VERSION_ID /etc/os-release":        "warning “grep” reads files",
		"sed -ne s/a/b/p /etc/os-release":        "warning “sed” reads files",
		"sed -f script":                          "warning “sed” reads files",
		"head -n 1 /etc/issue":                   "warning “head” reads files",
		"cut -d= -f2 /etc/x":                     "warning “cut” reads files",
		"echo $(< /etc/hostname)":                "warning < /etc/hostname reads files",
		"test -f /etc/os-release && echo 1":      "warning “test” reads files",
		"[ -d /opt/x ] && echo 1":                "warning “[” reads files",
		". /etc/os-release; echo $ID":            "warning “.” reads files",
		"perl -e 'use Config; print 1'":          "warning “perl” runs a program",
		"%{__python3} -c 'print(1)'":             "warning “python3” runs a program",
		"/usr/libexec/thing":                     "warning “thing” is run",
		"echo a | xargs rpm -q":                  "warning “xargs rpm” looks at the system",
		"echo a | xargs thing":                   "warning “xargs thing” is run",
		"if uname; then echo a; fi":              "warning “uname” looks at the system",
	} {
		require.Equal(t, []string{want}, commands(t, "%define value %("+shell+")\n"), shell)
	}
	for text, want := range map[string][]string{
		"# %(date)\n": {"error “date” reads the clock"},
		"%description\n%build\n%(uname -m; uname -r)\n": {"warning “uname” looks at the system"},
		"%{lua: os.execute('x')}\n":                     {"warning os.execute() is run"},
		"%{lua: io.popen('x'); os.time()}\n":            {"error os.time() reads the clock", "warning io.popen() is run"},
		"%{lua: io.open('/etc/x'); os.getenv('y')}\n":   {"warning io.open() reads files", "warning os.getenv() looks at the system"},
		"%{getncpus} %{getenv:HOME}\n":                  {"warning %{getncpus} counts the processors", "warning %{getenv:…} looks at the system"},
		"%{load:/etc/macros}\n":                         {"warning %{load:…} reads files"},
		"%define f() hostname\n%define g %(%{f x})\n":   {"warning “hostname” looks at the system"},
	} {
		require.ElementsMatch(t, want, commands(t, text), text)
	}
}

func FuzzCheckText(f *testing.F) {
	f.Add("Name: a\n%define develSHA 74ad08d0123456789012345678901234567890ab\n%(sed -e a | xargs -n b; [ -f c ]; < d)\n%package -n %{x}\n%files -n %{x} -f y\n/boot/grubx64.efi\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, line := range commands(t, text) {
			require.Contains(t, text, "%", line)
		}
	})
}
