package trial

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/validate/content"
)

func TestRulesHaveOneName(t *testing.T) {
	var rules []string
	for _, r := range content.Rules() {
		rules = append(rules, string(r))
	}
	require.Equal(t, rules, recipes.Rules(), "what recipes can declare is what the check objects to")
	for _, name := range []string{closureCheck, signaturesCheck, contentCheck} {
		require.Contains(t, recipes.CheckNames(), name)
	}
}

func TestWhatMakesPackagesLookedAtAgain(t *testing.T) {
	names := func(change func(*Cell)) (signatures, looks string) {
		c := cell()
		change(c)
		return c.recordName(check{name: signaturesCheck}), c.recordName(check{name: contentCheck})
	}
	signatures, looks := names(func(*Cell) {})
	for name, tc := range map[string]struct {
		change                func(*Cell)
		signaturesTo, looksTo bool
	}{
		"another snapshot":  {func(c *Cell) { c.Snapshot.ID = "two" }, true, true},
		"another image":     {func(c *Cell) { c.Image.Digest = "sha256:9" }, true, true},
		"another key":       {func(c *Cell) { c.PublicKey = []byte("other") }, true, false},
		"another exception": {func(c *Cell) { c.Exceptions = []content.Exception{{Rule: content.Setuid, Paths: []string{"/x"}}} }, false, true},
		"another test":      {func(c *Cell) { c.Tests = nil }, false, false},
	} {
		s, l := names(tc.change)
		require.Equal(t, tc.signaturesTo, s != signatures, name)
		require.Equal(t, tc.looksTo, l != looks, name)
	}
}

func TestMerged(t *testing.T) {
	for path, want := range map[string]string{"/bin/sh": "/usr/bin/sh", "/usr/bin/sh": "/usr/bin/sh", "/sbin/x": "/usr/sbin/x", "/opt/bin/x": "/opt/bin/x"} {
		require.Equal(t, want, merged(path))
	}
}
