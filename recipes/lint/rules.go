package lint

import (
	"fmt"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// Rule is one thing that Check looks for.
type Rule struct {
	Name        string
	Severities  string // that its findings can have
	Summary     string // a sentence
	Explanation string // in Markdown: why it matters, and what is and is not looked at
}

// The rules' names. They do not change: people search for them.
const (
	ruleReadable    = "unreadable-spec"
	ruleRequirement = "unknown-requirement"
	ruleProvider    = "duplicate-provider"
	ruleMacro       = "unexpanded-macro"
	ruleName        = "package-name"
	ruleSource      = "source-digest"
	ruleAbsent      = "missing-source"
	ruleForeign     = "foreign-binary"
	ruleNoarch      = "noarch-differs"
	ruleCommand     = "parse-time-command"
	rulePin         = "repeated-pin"
	ruleVersion     = "prerelease-version"
	ruleRelease     = "release-without-dist"
	ruleObsoletes   = "unversioned-obsoletes"
	ruleProcessors  = "processor-count"
)

// checks are the functions that find things. Some serve two rules.
var checks = []func(*linter) error{
	plain(checkReadable), plain(checkRequirements), plain(checkProviders), plain(checkMacros), plain(checkNames), plain(checkSources),
	checkForeign, plain(checkNoarch), plain(checkCommands), plain(checkPins), plain(checkVersions), plain(checkRelease),
	plain(checkObsoletes), plain(checkProcessors),
}

func plain(check func(*linter)) func(*linter) error {
	return func(l *linter) error {
		check(l)
		return nil
	}
}

// Rules are all that there are, in the order in which they are explained.
func Rules() []Rule {
	return []Rule{
		{ruleReadable, "error", "rpm cannot read the spec", `
The message is rpm's own. A spec that cannot be read builds nothing; whether others get what they need from it is not
known, and not complained about. "No compatible architectures" and ExclusiveArch are no errors: the recipe is left out there.`},
		{ruleRequirement, "error, warning", "nothing provides what a package, or its build, requires", `
Such a package can be built and published and cannot be installed. Looked at are Requires, BuildRequires and Recommends (a
warning), rich dependencies as far as they are certain, for each cell by itself. Names that only the recipes can provide count
(those with the project's ending, -ohpc); other names only when it is known what the target itself provides. A package that is
there in another version, or for another architecture only, is named. Whether a finished repository installs is told by
'ohpc-build validate closure'.`},
		{ruleProvider, "error, warning", "two jobs make the same package, or several packages provide what is required", `
Two packages with one name in one repository overwrite each other, or clients install the one with the higher version. It is an
error whether the jobs are of two recipes, or two variants of one whose name does not tell them apart. A warning is given when a
package requires a name that is no package's own and that several packages provide.`},
		{ruleMacro, "error, warning", "a macro is left unexpanded", `
rpm leaves a macro that nothing defines as it is, without a word: in names, versions and requirements, in the paths of '%files', in
the files that scripts write. A repository definition then asks for an address with a macro's name in it. Some macros, such as
'%{ohpc_repo}' and '%{_repository}', exist only in the project configuration of OpenHPC's build service; give them values under
'defines:'. Looked at are the tags as rpm expanded them, and in the text the names that neither the spec, the files it includes,
the variant's defines nor rpm define. Names that begin with an underscore are taken to be the distribution's; '%{?name}' is
optional.`},
		{ruleName, "error, warning", "a package is named outside the convention", `
The convention is 'NAME[-COMPILER[-MPI]]-ohpc', with the names of subpackages behind it, and 'ohpc-NAME' for what is the
project's own. A name without the ending takes the place of the distribution's package; one without its family collides with the
next variant; one with another family than it was built with is an error. PROJ_DELIM, where it is defined, is the ending.`},
		{ruleSource, "error, warning", "a source is fetched without a digest", `
Without a digest, whoever answers at the address decides what is built and signed, and a changed tarball is noticed by nobody. An
error in a catalogue; a warning in a source tree, which has no place for digests.`},
		{ruleAbsent, "error, warning", "a source or patch of the spec lies nowhere", `
The spec names a file that is not in SOURCES, that no recipe.yaml tells how to get, and that has no address: the build will stop
at it. A warning in a source tree, where a script may bring it.`},
		{ruleForeign, "error, warning", "boot or program files of another architecture", `
x86 boot loaders in packages for aarch64 install well and boot nothing. Looked at are ELF and EFI files in SOURCES, paths in
'%files' (pxelinux.0, bootx64.efi, grubaa64.efi, bin-x86_64-efi, …; a warning where only a word such as x86_64 tells), and names
of packages and sources. Conditions such as '%ifarch' are understood. A recipe that names the architecture that builds it for
all ('noarch: x86_64') may hold that one's files.`},
		{ruleNoarch, "error", "a noarch package is not the same for each architecture", `
Packages without an architecture lie in the repository once. When each architecture builds one with another version, or with other
requirements, it is chance which is published. A recipe may name the one that builds it.`},
		{ruleCommand, "error, warning", "the spec runs commands while it is parsed", `
'%(command)' and Lua run whenever a spec is read: by the plan in a bare container, by the build in a full one, by whoever looks at
the spec. What they print must not depend on where that is. Commands that only turn words into words may run: echo, printf, tr,
sed, awk, cut, head, tail, sort, uniq, expr, rev, wc, seq, grep, basename, dirname, cat without a file, test without one, and date
with a fixed date. It is an error to ask the network or the clock; a warning to look at the system (rpm -q, uname, hostname, which,
readlink), to read files, to run an interpreter or anything that is not known. rpm expands macros in comments too.`},
		{rulePin, "warning", "several specs repeat one commit", `
When a source tree has several specs, each with the commit, moving on means to change all of them. A file in pins/ serves them all,
and 'ohpc-build recipe bump' moves it.`},
		{ruleVersion, "warning", "a version of a pre-release that sorts after the release", `
rpm takes 3.8pre and 3.8rc1 to be newer than 3.8, because something follows. With a tilde they come before: 3.8~pre, 3.8~rc1.`},
		{ruleRelease, "note", "the release does not tell the target", `
'%{?dist}' at the end of Release keeps packages for different targets apart by their file names.`},
		{ruleObsoletes, "warning", "a package is obsoleted in every version", `
Obsoletes without a version removes a package for ever, also one that comes back under its name later, and makes two repositories
fight over it.`},
		{ruleProcessors, "note", "the number of processors gets into the package", `
rpm keeps the expanded spec in the source package. '%{?_smp_mflags}' is expanded to the number of processors, so that two
machines make different packages of one spec. The variable RPM_BUILD_NCPUS is read when the script runs.`},
	}
}

// Explain finds a rule by its name.
func Explain(name string) (Rule, error) {
	var names []string
	for _, r := range Rules() {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	hint := strict.DidYouMean(name, names)
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return Rule{}, fmt.Errorf("there is no rule %q%s", name, hint)
}

// WriteReference writes all rules as Markdown.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Rules of recipe lint\n\n")
	b.WriteString("`ohpc-build recipe lint` reports these. `--explain RULE` prints the same text. " +
		"This page is generated from the rules: `make docs`.\n\n| rule | severity | |\n| --- | --- | --- |\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", r.Name, r.Name, r.Severities, r.Summary)
	}
	for _, r := range Rules() {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n%s\n", r.Name, upper(r.Summary), strings.TrimSpace(r.Explanation))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// upper begins a sentence; names of programs stay as they are.
func upper(sentence string) string {
	if strings.HasPrefix(sentence, "rpm ") {
		return sentence
	}
	return strings.ToUpper(sentence[:1]) + sentence[1:]
}
