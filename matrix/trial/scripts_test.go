package trial

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// failingScripts are packages of a version, each of which has one script that fails, and
// base, which triggers are for.
func failingScripts(version string, scripts map[string]string) string {
	var b strings.Builder
	header := func(name string) {
		fmt.Fprintf(&b, "Summary: A test\nRequires: (base if base)\n%%description%s\nA test.\n", name)
	}
	b.WriteString("Name: base\nVersion: " + version + "\nRelease: 1\nLicense: MIT\nBuildArch: noarch\n")
	header("")
	files := []string{"base"}
	for name, script := range scripts {
		b.WriteString("%package -n " + name + "\n")
		header(" -n " + name)
		head, body, _ := strings.Cut(script, "\n")
		section, rest, _ := strings.Cut(head, " ")
		fmt.Fprintf(&b, "%s -n %s %s\n%s\n%%files -n %s\n/opt/%s\n", section, name, rest, body, name, name)
		files = append(files, name)
	}
	b.WriteString("%files\n/opt/base\n%install\nmkdir -p %{buildroot}/opt\nfor p in " + strings.Join(files, " ") + "; do echo " + version + " >%{buildroot}/opt/$p; done\n")
	b.WriteString("%changelog\n* Tue Feb 20 2024 A Maintainer <m@example.org> - 1-1\n- First\n")
	return b.String()
}

// TestScriptsThatFail has scripts that package managers only warn about: the packages
// are there, or gone, and the managers end as if all were well.
func TestScriptsThatFail(t *testing.T) {
	c := newClients(t, "x86_64")
	const says = "\necho first\nprintf 'the cause' >&2\nexit 3"
	old := repository(t, rpmtest.BuildText(t, failingScripts("1", map[string]string{
		"post": "%post" + says, "lua": "%post -p <lua>\nerror('the cause')", "posttrans": "%posttrans" + says, "signal": "%post\necho first\necho the cause\nkill -9 $$",
		"triggerin": "%triggerin -- base" + says, "filetrigger": "%transfiletriggerin -- /opt" + says,
		"postun": "%postun" + says, "triggerun": "%triggerun -- base" + says, "replaced": "%postun\n[ $1 = 0 ] || exit 3",
	}), "noarch")...)
	newer := repository(t, rpmtest.BuildText(t, failingScripts("2", map[string]string{"replaced": "%post\nexit 4"}), "noarch")...)
	for _, manager := range []string{"dnf", "zypper"} {
		t.Run(manager, func(t *testing.T) {
			t.Parallel()
			cell := c.cell(t, old, "install-"+manager)
			coming := []string{"post", "lua", "posttrans", "signal", "triggerin", "filetrigger"}
			going := []string{"postun", "triggerun"}
			cell.Installs = []Install{{"coming", append(coming, "base")}, {"going", append(going, "base")}}
			results := c.run(t, cell)
			for subject, names := range map[string][]string{"coming": coming, "going": going} {
				r := results[subject+" with "+manager]
				require.Equal(t, report.Fail, r.Result, subject)
				require.Contains(t, r.Reason, "not all of its scripts succeeded:\n", subject)
				for _, name := range names {
					require.Contains(t, r.Reason, " of "+name+"-1-1.noarch failed: ", r.Reason)
				}
				require.Equal(t, len(names), strings.Count(r.Reason, " failed: "), "each is told once:\n%s", r.Reason)
				require.GreaterOrEqual(t, strings.Count(r.Reason, "the cause"), len(names), r.Reason)
				require.NotContains(t, r.Reason, "Additional rpm output")
			}

			// What an old package does when it is replaced is none of the new one's.
			up := c.cell(t, newer, "upgrade")
			up.Managers, up.Before = []string{manager}, &Tree{Name: "the old one", Dir: old, ID: "old", PublicKey: up.PublicKey}
			r := c.run(t, up)["all packages with "+manager]
			require.Equal(t, report.Fail, r.Result)
			require.Contains(t, r.Reason, "%post of replaced-2-1.noarch failed: exit status 4")
			require.Contains(t, r.Reason, "%triggerin of triggerin-1-1.noarch failed: exit status 3\n    first\n    the cause", "it is there, and will be")
			require.NotContains(t, r.Reason, "replaced-1")
			require.NotContains(t, r.Reason, "unknown")
		})
	}
}
