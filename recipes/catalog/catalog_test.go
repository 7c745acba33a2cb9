package catalog_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/targets"
)

// host runs rpmspec on this machine, without a container: all specs are ours.
type host struct{}

func (host) Run(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// evaluated is a variant with what rpmspec says about it.
type evaluated struct {
	recipes.Variant
	arch   string
	result *spec.Result
}

// evaluate asks rpmspec about every variant of every recipe for one target.
func evaluate(t *testing.T, c *recipes.Catalog, target *recipes.Target) []evaluated {
	t.Helper()
	if _, err := exec.LookPath("rpmspec"); err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("rpmspec is not installed: %v", err)
	}
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	keep := func(name string, data []byte) spec.File {
		d, err := st.PutBytes(t.Context(), data)
		require.NoError(t, err)
		return spec.File{Name: name, Digest: d}
	}
	var list []evaluated
	var queries []spec.Query
	for _, arch := range target.Architectures {
		for _, r := range c.Recipes {
			variants, skips := c.Expand(r, target, arch)
			require.Empty(t, skips)
			for _, v := range variants {
				q := spec.Query{Path: r.Dir, Arch: arch}
				for _, d := range v.Defines {
					q.Defines = append(q.Defines, spec.Define(d))
				}
				for _, f := range c.Inputs(r) {
					data, err := c.Read(f)
					require.NoError(t, err)
					q.Sources = append(q.Sources, keep(f.Name, data))
				}
				if r.Kind == recipes.MetaPackage {
					q.Spec = keep(r.Name+".spec", []byte(c.Meta(v).Spec))
				} else {
					data, err := c.Read(r.Spec)
					require.NoError(t, err)
					q.Spec = keep(r.Spec.Name, data)
				}
				queries = append(queries, q)
				list = append(list, evaluated{Variant: v, arch: arch})
			}
		}
	}
	answers, err := spec.New(st, host{}, spec.Image{Arch: "x86_64"}).Evaluate(t.Context(), queries, nil)
	require.NoError(t, err)
	for i, a := range answers {
		require.NoError(t, a.Err)
		list[i].result = a.Result
	}
	return list
}

func TestCatalogue(t *testing.T) {
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	var names []string
	for _, r := range c.Recipes {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{
		"gnu12-compilers", "hwloc", "lmod", "ohpc-autotools", "ohpc-base", "ohpc-base-compute",
		"ohpc-buildroot", "ohpc-filesystem", "ohpc-gnu12-serial-libs", "ohpc-release", "scotch",
	}, names)

	for _, target := range c.Targets {
		list := evaluate(t, c, target)
		provided := map[string]bool{}
		for _, e := range list {
			for _, p := range e.result.Packages {
				for _, d := range p.Provides {
					provided[e.arch+" "+d.Name] = true
				}
			}
		}
		known := func(arch, name string) bool {
			_, bridged := target.Bridge[name]
			return bridged || provided[arch+" "+name]
		}
		for _, e := range list {
			t.Run(path.Join(target.Name, e.arch, e.Recipe.Name), func(t *testing.T) { conventions(t, c, target, e, known) })
		}
	}
}

// conventions holds a spec against its recipe, the target and OpenHPC's customs.
func conventions(t *testing.T, c *recipes.Catalog, target *recipes.Target, e evaluated, known func(arch, name string) bool) {
	require.Empty(t, e.result.Warnings)
	require.Len(t, e.result.Packages, 1)
	p := e.result.Packages[0]

	require.True(t, strings.HasSuffix(p.Name, "-ohpc") || strings.HasPrefix(p.Name, "ohpc-"), "name %s", p.Name)
	if member := e.Member("compiler"); member != "" {
		require.Contains(t, p.Name, "-"+member+"-", "a package that depends on a compiler says so")
	}
	require.Equal(t, "1"+target.Defines["dist"], p.Release)
	if e.Recipe.Noarch != "" {
		require.Equal(t, "noarch", p.Arch, "the recipe says noarch")
	} else {
		require.Equal(t, e.arch, p.Arch, "the spec says noarch, the recipe does not")
	}
	for _, d := range append(slices.Clone(p.Requires), e.result.Source.Requires...) {
		require.True(t, known(e.arch, d.Name), "%s is neither made here nor in the target's bridge", d.Name)
	}

	// rpm keeps the expanded spec in the package: the number of processors must
	// not be in it.
	if e.Recipe.Kind == recipes.Component {
		text, err := c.Read(e.Recipe.Spec)
		require.NoError(t, err)
		require.NotContains(t, string(text), "_smp_")
	}

	// What the spec names is there, and what is there is named.
	have := []string{}
	for _, f := range e.Recipe.Sources {
		have = append(have, f.Name)
	}
	for _, s := range e.Recipe.Fetched {
		have = append(have, s.File)
	}
	named := slices.DeleteFunc(append(slices.Clone(e.result.Source.Sources), e.result.Source.Patches...), func(name string) bool {
		return slices.ContainsFunc(c.Shared, func(f recipes.File) bool { return f.Name == name })
	})
	require.ElementsMatch(t, have, named)
}

// Everything that recipes install on a target, or build with, is in its image.
func TestBridgeIsInstalled(t *testing.T) {
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	for _, target := range c.Targets {
		if target.Image.Bootstrap == nil {
			continue
		}
		for name, packages := range target.Bridge {
			require.NotEmpty(t, packages, name)
		}
		for _, e := range evaluate(t, c, target) {
			for _, d := range append(slices.Clone(e.result.Packages[0].Requires), e.result.Source.Requires...) {
				for _, p := range target.Bridge[d.Name] {
					require.Contains(t, append(slices.Clone(target.Image.Bootstrap.Packages), "debianutils"), p, "for %s", d.Name)
				}
			}
		}
	}
}

// What a distribution calls otherwise is required under its own name there.
func TestRequirementsByTarget(t *testing.T) {
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	shipped, err := targets.Shipped()
	require.NoError(t, err)
	r, err := c.Recipe("ohpc-base-compute")
	require.NoError(t, err)
	for _, target := range shipped {
		variants, _ := c.Expand(r, target, target.Architectures[0])
		require.Len(t, variants, 1)
		suse := target.Name == "Leap_15"
		require.Equal(t, suse, slices.Contains(variants[0].Requires(), "procps"), target.Name)
		require.Equal(t, !suse, slices.Contains(variants[0].Requires(), "procps-ng"), target.Name)
	}
}
