package spectext_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
)

func describe(references []spectext.Reference) []string {
	var all []string
	for _, r := range references {
		text := fmt.Sprintf("%d:%d ", r.Line, r.Column)
		switch r.Kind {
		case spectext.Shell:
			text += "(" + r.Body + ")"
		case spectext.Lua:
			text += "lua:" + r.Body
		default:
			if r.Optional {
				text += "?"
			}
			text += r.Name
		}
		all = append(all, text)
	}
	return all
}

// What rpm expands in each of these was seen with rpmspec 4.18.
func TestReferences(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"nothing":              {"Name: a\n", nil},
		"plain":                {"Name: %{pname}-%version\n", []string{"1:7 pname", "1:16 version"}},
		"too short":            {"awk '%s %d %x1'\n", nil},
		"escaped":              {"%%{a} %%(b) %%name\n", nil},
		"escaped twice":        {"%%%%(b)\n", nil},
		"after an escape":      {"%%%(b)\n", []string{"1:3 (b)"}},
		"optional":             {"%{?dist} %{!?dist:%{abc}} %?dist\n", []string{"1:1 ?dist", "1:10 ?dist", "1:19 abc", "1:27 ?dist"}},
		"parameters":           {"%{1} %* %# %{-f*} %1\n", nil},
		"shell":                {"a %(echo $(date) | tr a b) c\n", []string{"1:3 (echo $(date) | tr a b)"}},
		"quotes do not count":  {"%(echo ')' b)\n", []string{"1:1 (echo ')"}},
		"backslashes do":       {"%(echo \\) b)\n", []string{"1:1 (echo \\) b)"}},
		"several lines":        {"\n  %(echo a\necho b)\n%{abc}", []string{"2:3 (echo a\necho b)", "4:1 abc"}},
		"never closed":         {"%(echo a\n%{abc}\n", []string{"1:1 (echo a)", "2:1 abc"}},
		"brace never closed":   {"%{abc\n%{def}\n", []string{"1:1 abc", "2:1 def"}},
		"macros in shell":      {"%(echo %{abc})\n", []string{"1:1 (echo %{abc})", "1:8 abc"}},
		"comment":              {"# %(date)\n", []string{"1:3 (date)"}},
		"dnl":                  {"%dnl %(date)\n%{abc}\n", []string{"2:1 abc"}},
		"expression":           {"%[%{abc} + 1]\n", []string{"1:3 abc"}},
		"lua":                  {"%{lua: print('%{x}')}\n", []string{"1:1 lua: print('%{x}')"}},
		"define":               {"%define abc %(date)\n", []string{"1:1 define", "1:13 (date)"}},
		"define escapes":       {"%define abc %%(date)\n", []string{"1:1 define"}},
		"global expands twice": {"%global abc %%(date)\n%%(x)", []string{"1:1 global", "1:14 (date)"}},
		"expand expands twice": {"%{expand: %%define f() %%((%{env w})||(x))}\n", []string{"1:1 expand", "1:12 define", "1:25 ((%{env w})||(x))", "1:28 env"}},
		"joined lines":         {"%define abc a \\\n %(date)\n%(x)", []string{"1:1 define", "2:2 (date)", "3:1 (x)"}},
		"a percent at the end": {"100%", nil},
		"only percents":        {"%%%", nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, describe(spectext.Parse([]byte(tc.text)).References()))
		})
	}
}

func TestDefinitions(t *testing.T) {
	text := spectext.Parse([]byte("%define abc 1\n%global def(x:) %{1}\n%{!?ghi: %global ghi %{abc} }\n%define\n# %%define no 1\n"))
	require.Equal(t, []spectext.Definition{
		{Position: spectext.Position{Line: 1, Column: 1}, Name: "abc", Value: "1"},
		{Position: spectext.Position{Line: 2, Column: 1}, Name: "def", Value: "%{1}"},
		{Position: spectext.Position{Line: 3, Column: 10}, Name: "ghi", Value: "%{abc}"},
	}, text.Definitions())
}

func TestCommands(t *testing.T) {
	for shell, want := range map[string]string{
		"echo a | tr a-z A-Z":                      "echo tr",
		"echo 'a | b; c'":                          "echo",
		`echo "a $(date -u) b"`:                    "date echo",
		"echo `hostname`":                          "hostname echo",
		"a=1 b=$(uname -r); echo $a":               "uname echo",
		"test -f /etc/os-release && echo 1 || id":  "test echo id",
		"if [ x ]; then git log; else rpm -q a;fi": "[ git rpm",
		"for f in a b; do grep x $f; done":         "grep",
		"which clang >/dev/null 2>&1; echo $?":     "which echo",
		"tr a b <<< %{version}":                    "tr",
		"sed s/a/b/ < /etc/hosts":                  "sed</etc/hosts",
		"< /etc/hosts":                             "</etc/hosts",
		"(curl x)||(wget y)":                       "curl wget",
		"{ ls; }":                                  "ls",
		"echo ${x} %{y}":                           "echo",
		"# date\necho a # date":                    "echo",
		"%{__perl} -e 'print 1'":                   "%{__perl}",
		"echo a &":                                 "echo",
		"\"date\"":                                 "date",
		"echo 'a":                                  "echo",
		"echo \"a":                                 "echo",
		"":                                         "",
	} {
		var names []string
		for _, c := range spectext.Commands(shell) {
			name := c.Name
			for _, f := range c.Reads {
				name += "<" + f
			}
			names = append(names, name)
		}
		require.Equal(t, want, strings.Join(names, " "), shell)
	}
}

const sectioned = `Name: a%{?x}
Source0:	https://example.org/a.tar.gz
# Requires: not this
%ifarch x86_64
Requires(post): b >= 1
%else
%if 0%{?rhel}
Requires: c
%endif
%endif
%package -n sub
Summary: s
%description
Name: no tag
%if "%{_arch}" == "aarch64"
%files -n sub
%defattr(-,root,root)
# a comment
  /boot/x
%endif
%if 0
%files
/never
%endif
`

func TestTags(t *testing.T) {
	var got []string
	text := spectext.Parse([]byte(sectioned))
	for _, tag := range text.Tags() {
		got = append(got, fmt.Sprintf("%d:%d %s=%s %v %v", tag.Line, tag.Column, tag.Name, tag.Value, tag.When.Holds("x86_64"), tag.When.Holds("aarch64")))
	}
	require.Equal(t, []string{
		"1:7 Name=a%{?x} true true",
		"2:10 Source0=https://example.org/a.tar.gz true true",
		"5:17 Requires=b >= 1 true false",
		"8:11 Requires=c false true",
		"12:10 Summary=s true true",
	}, got)
	require.Equal(t, "description", text.SectionOf(14).Keyword)
}

func TestFiles(t *testing.T) {
	var got []string
	for _, l := range spectext.Parse([]byte(sectioned)).Files() {
		got = append(got, fmt.Sprintf("%d:%d %s [%s] %v %v", l.Line, l.Column, l.Text, l.Section.Args, l.When.Holds("x86_64"), l.When.Holds("aarch64")))
	}
	require.Equal(t, []string{
		"17:1 %defattr(-,root,root) [-n sub] false true",
		"19:3 /boot/x [-n sub] false true",
		"23:1 /never [] false false",
	}, got)
}

// TestTimeIsInProportion reads what would take hours if brackets were looked for
// anew from each opening one.
func TestTimeIsInProportion(t *testing.T) {
	for _, piece := range []string{"%(", "%{", "%[", "%{a:", "%define a ", "%if 1\n", "%if 1\n%else\n", "(", "%{expand:%%", "\\\n", "%(" + "`", "%global a {", "%abc", "%{abc}", "%dnl"} {
		begin := time.Now()
		text := spectext.Parse([]byte(strings.Repeat(piece, 1<<20/len(piece))))
		text.Tags()
		for _, r := range text.References() {
			if r.Kind == spectext.Shell && len(r.Body) > 1<<10 {
				spectext.Commands(r.Body)
				break
			}
		}
		require.Less(t, time.Since(begin), 20*time.Second, piece)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sectioned)
	f.Add("%{expand: %%define f() %%((%{env w})||(x))}\n%(echo `a` \"$(b)\" 'c' <<< d)\n%global x %{lua: os.execute('x')}")
	f.Fuzz(func(t *testing.T, in string) {
		text := spectext.Parse([]byte(in))
		lines := strings.Split(in, "\n")
		for _, r := range text.References() {
			require.Positive(t, r.Line)
			require.LessOrEqual(t, r.Line, len(lines))
			rest := lines[r.Line-1][r.Column-1:]
			require.True(t, strings.HasPrefix(rest, "%"), "a reference begins with a percent sign, not %q", rest)
			if r.Kind == spectext.Shell {
				require.True(t, strings.HasPrefix(rest, "%("))
				spectext.Commands(r.Body)
			}
			if r.Name != "" {
				require.Contains(t, rest, r.Name)
			}
		}
		for _, tag := range text.Tags() {
			require.Contains(t, lines[tag.Line-1], tag.Name)
		}
		for _, l := range text.Files() {
			require.Contains(t, lines[l.Line-1][l.Column-1:], l.Text)
		}
		text.Definitions()
	})
}
