package tree

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// The kinds of families, and the macros that tell a spec the member.
const (
	compilerFamily = "compiler"
	mpiFamily      = "mpi"

	compilerDefine = "compiler_family"
	mpiDefine      = "mpi_family"
)

// traits are what a spec's text says about how it is multiplied.
type traits struct {
	summary       string
	compiler, mpi bool
	variants      []recipes.Extra
}

var (
	// %define ohpc_compiler_dependent 1
	flagLine = regexp.MustCompile(`^\s*%(?:define|global)\s+ohpc_(compiler|mpi)_dependent\s+1\b`)
	// %{!?ohpc_mpi_dependent:%define ohpc_mpi_dependent 1}: built again with 0
	dualLine = regexp.MustCompile(`^\s*%\{!\?ohpc_mpi_dependent:\s*%(?:define|global)\s+ohpc_mpi_dependent\s+1\s*\}`)
	nameLine = regexp.MustCompile(`(?i)^name\s*:\s*(.*)`)
	summary  = regexp.MustCompile(`(?i)^summary\s*:\s*(.*)`)

	// %{!?with_ucx: %define with_ucx 0}, %{!?RMS_DELIM: %global RMS_DELIM %{nil}}
	switchLine = regexp.MustCompile(`^\s*%\{!\?(\w+):\s*%(?:define|global)\s+(\w+)\s+(0|%\{nil\})\s*\}`)
	// %if 0%{with_ucx}, %if 0%{?with_ucx}
	ifSwitch = regexp.MustCompile(`^\s*%if\s+0?%\{\??(\w+)\}\s*$`)
	// %if "%{RMS_DELIM}" == "-pmix"
	ifDelim = regexp.MustCompile(`^\s*%if\s+"%\{\??(\w+_DELIM)\}"\s*==\s*"-(\w+)"`)
	// %define FABRIC_DELIM -ucx
	delimLine = regexp.MustCompile(`^\s*%(?:define|global)\s+\w+_DELIM\s+-(\w+)\s*$`)
	openLine  = regexp.MustCompile(`^\s*%if`)
	elseLine  = regexp.MustCompile(`^\s*%el`)
	endLine   = regexp.MustCompile(`^\s*%endif`)
)

// scan reads a spec's text. Macros are not expanded: what multiplies a spec has
// to be known before rpm is asked about it. The forms looked for are OpenHPC's
// conventions, which all of its specs keep to.
//
// A define makes a variant when it changes the packages' names, which is what
// the macros *_DELIM are for: either the spec compares one that it leaves to its
// caller with a value, or it sets one in the branch of a switch that it leaves to
// its caller. Switches that change a build under the same name make none.
func scan(text []byte) traits {
	var t traits
	dual := false
	switches := map[string]bool{}       // macros that the caller may define
	extra := map[string]recipes.Extra{} // by name
	var branch []string                 // the switch of each open %if, or ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if m := flagLine.FindStringSubmatch(line); m != nil {
			t.compiler = t.compiler || m[1] == "compiler"
			t.mpi = t.mpi || m[1] == "mpi"
		}
		if dualLine.MatchString(line) {
			t.mpi, dual = true, true
		}
		// lmod-defaults is named after families without saying that it depends on them.
		if m := nameLine.FindStringSubmatch(line); m != nil {
			t.compiler = t.compiler || strings.Contains(m[1], "%{"+compilerDefine+"}")
			t.mpi = t.mpi || strings.Contains(m[1], "%{"+mpiDefine+"}")
		}
		if m := summary.FindStringSubmatch(line); m != nil && t.summary == "" {
			t.summary = strings.TrimSpace(m[1])
		}
		if m := switchLine.FindStringSubmatch(line); m != nil && m[1] == m[2] {
			switches[m[1]] = true
		}
		if m := ifDelim.FindStringSubmatch(line); m != nil && switches[m[1]] {
			extra[m[2]] = recipes.Extra{Name: m[2], Defines: map[string]string{m[1]: "-" + m[2]}}
		}
		switch {
		case openLine.MatchString(line):
			branch = append(branch, "")
			if m := ifSwitch.FindStringSubmatch(line); m != nil && switches[m[1]] {
				branch[len(branch)-1] = m[1]
			}
		case elseLine.MatchString(line) && len(branch) > 0:
			branch[len(branch)-1] = ""
		case endLine.MatchString(line) && len(branch) > 0:
			branch = branch[:len(branch)-1]
		}
		if m := delimLine.FindStringSubmatch(line); m != nil && len(branch) > 0 && branch[len(branch)-1] != "" {
			extra[m[1]] = recipes.Extra{Name: m[1], Defines: map[string]string{branch[len(branch)-1]: "1"}}
		}
	}
	t.compiler = t.compiler || t.mpi
	if dual {
		extra[serial] = recipes.Extra{
			Name: serial, Defines: map[string]string{"ohpc_mpi_dependent": "0"}, Families: map[string]recipes.Choice{compilerFamily: {recipes.All}},
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		t.variants = append(t.variants, extra[name])
	}
	return t
}

// serial names the variant without MPI of a recipe that has both.
const serial = "serial"
