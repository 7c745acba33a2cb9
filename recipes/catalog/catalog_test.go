package catalog_test

import (
	"testing"

	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/stretchr/testify/require"
)

func TestLoads(t *testing.T) {
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	tg, _ := c.Target("Debian_12")
	for _, r := range c.Recipes {
		vs, sk := c.Expand(r, tg, "x86_64")
		for _, v := range vs {
			t.Log(r.Name, v.Name(), v.Defines, v.Requires(), sk)
		}
	}
}
