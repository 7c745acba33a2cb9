package depcheck_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/ohpc-build/ohpc-build"

// rule says what the packages of one tree may import of this module. The first
// rule whose tree holds a package applies. Everybody may import their own tree.
type rule struct {
	tree string
	may  []string
	why  string
}

// ground may be imported from anywhere and imports nothing of the project.
var ground = []string{"repo/rpm", "internal/store"}

var rules = []rule{
	{"repo/rpm", nil, "the header reader is the ground floor: it knows nothing of repositories"},
	{"internal/store", nil, "the store is the ground floor"},
	{"recipes", nil, "recipes, builder, repo and validate do not import each other"},
	{"builder", nil, "recipes, builder, repo and validate do not import each other"},
	{"repo", nil, "recipes, builder, repo and validate do not import each other"},
	{"validate", nil, "recipes, builder, repo and validate do not import each other"},
	{"matrix", []string{"recipes", "builder", "repo", "validate"}, "matrix wires the stations and is imported by ci and cmd only"},
	{"ci/bench", nil, "benchmarks run the built program, as its users do"},
	{"ci", []string{"matrix", "recipes", "builder", "repo", "validate"}, "ci stands on matrix"},
	{"cmd", []string{"ci", "matrix", "recipes", "builder", "repo", "validate", "docs"}, "the commands stand on everything"},
	{"docs", nil, "the guide imports nothing"},
	{"internal/depcheck", nil, "this test stands alone"},
	{"internal/testenv", nil, "the tests' helper stands on the ground floor"},
}

// goPackage is what go list tells. Imports of tests do not count: a test may
// bring the real neighbour that its package only knows as an interface.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	require.NoError(t, err)
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		seen++
		check(t, p.ImportPath, p.Imports)
	}
	require.Greater(t, seen, 5, "go list found the module's packages")
}

func check(t *testing.T, importer string, imports []string) {
	t.Helper()
	from := strings.TrimPrefix(importer, module+"/")
	r, ok := ruleFor(from)
	if !ok {
		t.Errorf("%s: no rule says what it may import; add one to this test", from)
		return
	}
	for _, imported := range imports {
		to, ours := strings.CutPrefix(imported, module+"/")
		if !ours || allowed(r, from, to) {
			continue
		}
		t.Errorf("%s imports %s: %s", from, to, r.why)
	}
}

func ruleFor(pkg string) (rule, bool) {
	for _, r := range rules {
		if inTree(pkg, r.tree) {
			return r, true
		}
	}
	return rule{}, false
}

func allowed(r rule, from, to string) bool {
	if isGround(from) {
		return inTree(to, r.tree)
	}
	if isGround(to) || inTree(to, r.tree) {
		return true
	}
	for _, tree := range r.may {
		if inTree(to, tree) {
			return true
		}
	}
	return false
}

func isGround(pkg string) bool {
	for _, g := range ground {
		if inTree(pkg, g) {
			return true
		}
	}
	return false
}

func inTree(pkg, tree string) bool { return pkg == tree || strings.HasPrefix(pkg, tree+"/") }

// TestRulesCatchWrongImports keeps the rules themselves honest.
func TestRulesCatchWrongImports(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		ok       bool
	}{
		{"repo/rpmmd", "repo/rpm", true},
		{"repo/rpm", "repo/rpmmd", false},
		{"repo/rpm", "internal/store", false},
		{"internal/store", "repo/rpm", false},
		{"builder", "recipes", false},
		{"builder", "builder/sandbox", true},
		{"builder", "internal/store", true},
		{"recipes/spec", "builder/sandbox", false},
		{"validate", "repo/rpm", true},
		{"validate", "repo/publish", false},
		{"matrix", "builder/image", true},
		{"matrix", "ci", false},
		{"matrix/plan", "matrix", true},
		{"cmd/ohpc-build", "matrix", true},
		{"repo/publish", "matrix", false},
		{"ci/bench", "repo/rpm/write", true},
		{"ci/bench", "repo/rpmmd", false},
	} {
		r, ok := ruleFor(tc.from)
		require.True(t, ok, tc.from)
		require.Equal(t, tc.ok, allowed(r, tc.from, tc.to), "%s → %s", tc.from, tc.to)
	}
}
