package client

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// read gives the text to the reader in pieces.
func read(text string, step int) []Script {
	var s scripts
	for rest := text; rest != ""; {
		n := min(step, len(rest))
		_, _ = s.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	return s.close()
}

// The texts are what dnf 4.14 and zypper 1.14.59 with rpm 4.18 print.
func TestScripts(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []Script
	}{
		"nothing": {"  Preparing        :      1/1 \n  Installing       : base-1-1.noarch      1/2 \n", nil},
		"dnf": {
			"  Installing       : post-1-1.noarch     1/1 \n  Running scriptlet: post-1-1.noarch     1/1 \nfirst\n" +
				"the cause of postwarning: %post(post-1-1.noarch) scriptlet failed, exit status 3\n\nError in POSTIN scriptlet in rpm package post\n  Verifying        : post-1-1.noarch    1/1 \n",
			[]Script{{"%post", "post-1-1.noarch", "exit status 3", []string{"first", "the cause of post"}}},
		},
		"dnf alone":  {"Error in POSTIN scriptlet in rpm package post\n", []Script{{"POSTIN", "post", "", nil}}},
		"dnf5 alone": {">>> Error in %post scriptlet: post-0:1-1.noarch\n", []Script{{"%post", "post-0:1-1.noarch", "", nil}}},
		"a trigger of dnf": {
			"  Running scriptlet: triggerin-1-1.noarch      2/2 \nfirst\nwarning: %triggerin(triggerin-1-1.noarch) scriptlet failed, exit status 3\n\nError in <unknown> scriptlet in rpm package base\n",
			[]Script{{"%triggerin", "triggerin-1-1.noarch", "exit status 3", []string{"first"}}},
		},
		"lua": {
			"  Running scriptlet: lua-1-1.noarch      1/1 \nerror: lua script failed: [string \"%post(lua-1-1.noarch)\"]:2: the cause of lua\n\nError in POSTIN scriptlet in rpm package lua\n",
			[]Script{{"%post", "lua-1-1.noarch", "[string \"%post(lua-1-1.noarch)\"]:2: the cause of lua", nil}},
		},
		"zypper": {
			"(1/1) Installing: post-1-1.noarch [....done]\nAdditional rpm output:\nrpm: RPM should not be used directly install RPM packages, use Alien instead!\n" +
				"the cause\nwarning: %post(post-1-1.noarch) scriptlet failed, signal 9\n\n",
			[]Script{{"%post", "post-1-1.noarch", "signal 9", []string{"the cause"}}},
		},
		"%posttrans of zypper": {
			"Executing %posttrans script 'posttrans-1-1.noarch.rpm' [..\nOutput of posttrans-1-1.noarch.rpm %posttrans script:\n    first\n    the cause of posttrans\n" +
				"Warning: posttrans-1-1.noarch.rpm %posttrans script failed (returned 3)\n..done]\n",
			[]Script{{"%posttrans", "posttrans-1-1.noarch", "returned 3", []string{"first", "the cause of posttrans"}}},
		},
		"two": {
			"warning: %post(a-1-1.noarch) scriptlet failed, exit status 1\nwarning: %postun(a-0-1.noarch) scriptlet failed, exit status 1\n",
			[]Script{{"%post", "a-1-1.noarch", "exit status 1", nil}, {"%postun", "a-0-1.noarch", "exit status 1", nil}},
		},
		"behind a long line": {
			strings.Repeat("x", 3*maxLine-20) + "warning: %post(a-1-1.noarch) scriptlet failed, exit status 1\n",
			nil, // what it printed is not compared
		},
		"words that are like it": {"the %post scriptlet failed, they say\nError in the scriptlet\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(tc.text, 1<<20)
			require.Equal(t, got, read(tc.text, 7), "however it is cut")
			if name == "behind a long line" {
				require.Len(t, got, 1)
				require.Equal(t, "%post of a-1-1.noarch failed: exit status 1", strings.Split(got[0].String(), "\n")[0])
				return
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestWhoseScript(t *testing.T) {
	i := Installed{Name: "a", Arch: "noarch", EVR: rpm.EVR{Epoch: "2", Version: "1", Release: "3"}}
	for of, want := range map[string]bool{"a": true, "a-1-3.noarch": true, "a-2:1-3.noarch": true, "a-1-4.noarch": false, "b": false} {
		require.Equal(t, want, Script{Package: of}.Of(i), of)
	}
}

// FuzzScripts reads whatever packages print: what is kept is bounded, and a failure
// that rpm tells of on a line of its own is found whatever stands before it.
func FuzzScripts(f *testing.F) {
	f.Add("first\nthe cause", 3)
	f.Add("%post(x) scriptlet failed, lua script failed: [string", 1)
	f.Fuzz(func(t *testing.T, text string, step int) {
		const line = "\nwarning: %postun(own-1-1.noarch) scriptlet failed, exit status 77\n"
		failed := read(text+line, max(1, step%100))
		require.LessOrEqual(t, len(failed), maxScripts)
		if len(failed) < maxScripts {
			require.True(t, slices.ContainsFunc(failed, func(s Script) bool { return s.Package == "own-1-1.noarch" && s.How == "exit status 77" }))
		}
		for _, s := range failed {
			require.LessOrEqual(t, len(s.String()), (maxOutput+4)*(maxShown+10))
		}
	})
}
