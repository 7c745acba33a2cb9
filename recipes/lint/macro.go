package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// checkMacros finds macros that stay what they are: in what rpm made of the tags,
// in the text, and in repository definitions.
func checkMacros(l *linter) {
	for _, s := range l.specs {
		for _, e := range s.evaluated {
			if e.Result == nil {
				continue
			}
			l.checkTags(s, e, &e.Result.Source)
			for i := range e.Result.Packages {
				l.checkTags(s, e, &e.Result.Packages[i])
			}
		}
		l.checkMacroText(s)
		l.checkRepoFiles(s)
	}
}

var literalMacro = regexp.MustCompile(`%(\{[^{}]*\}|[?!]*[A-Za-z_][A-Za-z0-9_]{2,})`)

func unexpanded(text string) bool { return literalMacro.MatchString(text) }

// checkTags looks at what rpm made of the tags of one package.
func (l *linter) checkTags(s *specFile, e *Evaluated, h *headers.Header) {
	check := func(tag, value string) {
		macro := literalMacro.FindString(value)
		if macro == "" || tag == "Summary" && !strings.HasPrefix(macro, "%{") {
			return
		}
		at := s.findTag(e.Variant.Arch, tag)
		for _, f := range s.texts() {
			for _, t := range f.text.Tags() {
				if i := strings.Index(t.Value, macro); i >= 0 && isTag(t, []string{tag}) {
					at = f.at(spectext.Position{Line: t.Line, Column: t.Column + i})
				}
			}
		}
		message := fmt.Sprintf("%s stays unexpanded in %s: the package would have %q there", macro, tag, value)
		l.findings.add(at.finding(ruleMacro, Error, message, macroHint(strings.Trim(macro, "%{}?!"))), e)
	}
	check("Name", h.Name)
	check("Version", h.Version)
	check("Release", h.Release)
	check("Summary", h.Summary)
	requires := "Requires"
	if h.Arch == "src" || len(h.Sources) > 0 {
		requires = "BuildRequires"
	}
	for tag, list := range map[string][]rpm.Dependency{
		requires: h.Requires, "Provides": h.Provides, "Conflicts": h.Conflicts, "Obsoletes": h.Obsoletes, "Recommends": h.Recommends,
	} {
		for _, d := range list {
			// What comes of the name and version is reported with them.
			if tag == "Provides" && (d.Name == h.Name || strings.HasPrefix(d.Name, h.Name+"(")) {
				continue
			}
			check(tag, d.String())
		}
	}
	for _, name := range h.Sources {
		check("Source", name)
	}
	for _, name := range h.Patches {
		check("Patch", name)
	}
}

// Macros that are only defined where OpenHPC's own build service runs
// (its project configuration).
var buildService = map[string]bool{
	"ohpc_repo": true, "ohpc_version": true, "_repository": true, "ohpc_micro_update": true, "ohpc_factory_repo": true,
	"_project": true,
}

// checkMacroText looks for macros that nothing defines. Those whose names begin
// with an underscore are taken to be the distribution's own, and those that a
// spec asks for anywhere with %{?name} to be optional.
func (l *linter) checkMacroText(s *specFile) {
	known, used := map[string]bool{}, map[string]bool{"": true}
	for _, t := range l.in.Catalog.Targets {
		for name := range t.Macros {
			name, _, _ = strings.Cut(name, "(")
			known[name] = true
		}
	}
	for _, f := range s.texts() {
		for _, d := range f.text.Definitions() {
			known[d.Name] = true
		}
		for _, r := range f.text.References() {
			used[r.Name] = true
			switch {
			case r.Optional, r.Name == "undefine":
				known[r.Name] = true
			case strings.HasPrefix(r.Name, "bcond"):
				for _, name := range strings.Fields(r.Body) {
					known["with_"+name], known["_with_"+name], known["_without_"+name] = true, true, true
				}
			}
		}
	}
	for _, f := range s.texts() {
		for _, r := range f.text.References() {
			expanded := used[r.Within.Define] && !r.Within.Optional
			forQuery := r.Within.Shell && strings.ToUpper(r.Name) == r.Name // rpm -q --qf %{NAME}
			if r.Kind == spectext.Macro && !r.Optional && !known[r.Name] && expanded && !forQuery {
				l.checkReference(s, f, r)
			}
		}
	}
}

func (l *linter) checkReference(s *specFile, f *sourceText, r spectext.Reference) {
	if !buildService[r.Name] && (rpmMacro(r.Name) || !r.Braced && !plainMacro(f.text, r)) {
		return
	}
	var without []*Evaluated
	for _, e := range s.evaluated {
		if !slices.ContainsFunc(e.Variant.Defines, func(d recipes.Define) bool { return d.Name == r.Name }) {
			without = append(without, e)
		}
	}
	if len(without) == 0 {
		return
	}
	section := f.text.SectionOf(r.Line).Keyword
	severity := Warning
	if buildService[r.Name] || section == "files" || section == "" || section == "package" {
		severity = Error
	}
	message := fmt.Sprintf("nothing defines %%{%s}: it stays as it is in %s", r.Name, sectionName(section))
	l.findings.add(f.at(r.Position).finding(ruleMacro, severity, message, macroHint(r.Name)), without...)
}

// plainMacro says whether %name is meant as a macro: where there are tags and
// paths. Elsewhere it may be the format of printf or date.
func plainMacro(text *spectext.Text, r spectext.Reference) bool {
	switch text.SectionOf(r.Line).Keyword {
	case "", "package", "files":
		return strings.ToLower(r.Name) == r.Name
	}
	return false
}

func sectionName(keyword string) string {
	switch keyword {
	case "", "package":
		return "the preamble"
	}
	return "%" + keyword
}

func macroHint(name string) string {
	if buildService[name] {
		return "it is known to OpenHPC's own build service only: give it a value under defines: of the catalogue or of the targets"
	}
	return fmt.Sprintf("define it, write %%{?%s} if it may be absent, or %%%% where a percent sign is meant", name)
}

var numbered = regexp.MustCompile(`^(SOURCE|PATCH|S|P|patch)[0-9]*$`)

// rpmMacro says whether rpm knows a macro by itself, or gets it from a package
// that specs have to require for building.
func rpmMacro(name string) bool {
	if strings.HasPrefix(name, "_") || numbered.MatchString(name) || rpmOwn[name] {
		return true
	}
	return slices.ContainsFunc(fromPackages, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// rpmOwn are rpm's keywords and macros without an underscore (rpm 4.14 to 4.20:
// parseSpec.c, macro.c, macros.in), and those that distributions define with
// their names.
var rpmOwn = set(`
	name version release epoch summary url license nil buildroot buildsubdir optflags dist
	define global undefine dnl expand lua trace dump echo warn error verbose getenv getncpus getconfdir load include
	basename dirname suffix exists shrink quote shescape upper lower reverse len sub gsub rep u2p url2path uncompress
	macrobody defined undefined with without bcond bcond_with bcond_without rpmversion span xdg string
	if ifarch ifnarch ifos ifnos elif elifarch elifos else endif
	package description prep generate_buildrequires conf build install check clean files changelog sourcelist patchlist
	pre post preun postun pretrans posttrans preuntrans postuntrans verifyscript sepolicy triggerin triggerun triggerpostun
	triggerprein trigger filetriggerin filetriggerun filetriggerpostun transfiletriggerin transfiletriggerun
	transfiletriggerpostun
	attr defattr config dir doc docdir exclude ghost lang license missingok noreplace verify caps artifact pubkey readme
	setup patch patches sources autosetup autopatch configure make_build make_install makeinstall find_lang
	build_cflags build_cxxflags build_fflags build_ldflags build_rustflags build_valaflags set_build_flags debug_package
	clamp_mtime_to_source_date_epoch source_date_epoch_from_changelog use_source_date_epoch_as_buildtime
	ix86 arm arm32 arm64 mips mips32 mips64 mipseb mipsel power64 riscv riscv64 sparc alpha x86_64 loongarch64
	rhel fedora centos el7 el8 el9 el10 epel suse_version sle_version is_opensuse openEuler openeuler_version
	rhel_version centos_version scientificlinux_version distribution vendor packager
	fdupes lang_package cmake ctest meson ninja_build suse_update_desktop_file insserv_prereq fillup_prereq fillup_only
	ldconfig_scriptlets ldconfig ldconfig_post ldconfig_postun install_info install_info_delete
	latest_kernel flavors_to_build
`)

// fromPackages begins what is defined by packages with macros of rpm, which a
// spec requires for its build and a plan is made without.
var fromPackages = []string{
	"systemd_", "sysusers_", "tmpfiles_", "udev_", "firewalld_", "service_", "perl_", "python", "py3_", "py_", "py2_", "pyproject_",
	"cmake_", "meson_", "kernel_module", "java", "maven", "mvn_", "go", "lua_", "ruby", "gem_", "ocaml", "nodejs_", "npm_",
	"selinux_", "rust", "cargo", "R_", "qt", "kf5", "verify_", "set_permissions", "desktop_", "icon_theme", "mime_",
}

func set(text string) map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(text) {
		words[w] = true
	}
	return words
}

// checkRepoFiles looks at repository definitions beside the spec: they are copied,
// not expanded.
func (l *linter) checkRepoFiles(s *specFile) {
	for _, f := range s.recipe.Sources {
		if path.Ext(f.Name) != ".repo" {
			continue
		}
		data, err := l.in.Catalog.Read(f)
		if err != nil {
			continue // reported by checkBinaries
		}
		for _, r := range spectext.Parse(data).References() {
			if r.Kind != spectext.Macro || !r.Braced {
				continue
			}
			message := fmt.Sprintf("%%{%s} stays as it is: a file in SOURCES is copied, and dnf and zypper would ask for an address with the macro's name in it", r.Name)
			at := place{f.Path, r.Position}
			l.findings.add(at.finding(ruleMacro, Error, message, "write the file in the spec's %install, where macros are expanded"), s.evaluated...)
		}
	}
}
