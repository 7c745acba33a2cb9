package skeleton

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

// Recipe is what is known of a recipe when it is begun.
type Recipe struct {
	Name     string
	Kind     recipes.Kind
	Group    string                    // of a component
	Summary  string                    // the name when empty
	Families map[string]recipes.Choice // that multiply it
	Requires []string                  // of a meta-package; bash when empty
}

// Write begins the recipe in the catalogue that lies in dir. It returns the files
// that it wrote, below dir, in order. An error that is not a *[MistakeError] or
// the catalogue's own is the system's.
func (r Recipe) Write(dir string) ([]string, error) {
	c, err := load.Dir(dir)
	if err != nil {
		return nil, err
	}
	if err := r.check(c); err != nil {
		return nil, err
	}
	files, err := r.files(c)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(dir, filepath.FromSlash(r.folder()))
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, mistake("%s is there already; nothing was written", root)
		}
		return nil, err
	}
	if err := write(root, files); err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	if _, err := load.Dir(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		names = append(names, path.Join(r.folder(), name))
	}
	return names, nil
}

// MistakeError says what cannot be begun so.
type MistakeError struct{ text string }

func (e *MistakeError) Error() string { return e.text }

func mistake(format string, args ...any) error { return &MistakeError{fmt.Sprintf(format, args...)} }

var (
	name      = regexp.MustCompile(recipes.NamePattern)
	templated = regexp.MustCompile(recipes.TemplatePattern)
)

func (r Recipe) check(c *recipes.Catalog) error {
	for _, family := range slices.Sorted(maps.Keys(r.Families)) {
		f, err := c.Family(family)
		if err != nil {
			return mistake("%v", err)
		}
		for _, member := range r.Families[family] {
			if _, err := f.Member(member); err != nil && member != recipes.All {
				return mistake("%v", err)
			}
		}
	}
	if strings.ContainsAny(r.Summary, "\n\x00") {
		return mistake("the summary must be a single line")
	}
	if r.Kind == recipes.MetaPackage {
		return r.checkMeta()
	}
	switch {
	case !name.MatchString(r.Name):
		return mistake("%q cannot name a component: letters, digits and + . _ -", r.Name)
	case r.Group == "":
		return mistake("a component belongs to a group, the folder below components/: give one%s", known(c))
	case !name.MatchString(r.Group):
		return mistake("%q cannot name a group: letters, digits and + . _ -", r.Group)
	case len(r.Requires) > 0:
		return mistake("what a component requires stands in its spec")
	}
	return nil
}

func (r Recipe) checkMeta() error {
	if !templated.MatchString(r.Name) {
		return mistake("%q cannot name a meta-package: letters, digits, + . _ - and {family}", r.Name)
	}
	if r.Group != "" {
		return mistake("a meta-package belongs to no group")
	}
	for _, family := range slices.Sorted(maps.Keys(r.Families)) {
		if !slices.Contains(recipes.Placeholders(r.Name), family) {
			return mistake("the name of a meta-package for each member of %s has {%s} in it, as in ohpc-{%s}-libs", family, family, family)
		}
	}
	return nil
}

// known names the groups that there are.
func known(c *recipes.Catalog) string {
	groups := map[string]bool{}
	for _, r := range c.Recipes {
		if r.Group != "" {
			groups[r.Group] = true
		}
	}
	if len(groups) == 0 {
		return ""
	}
	return ", such as " + strings.Join(slices.Sorted(maps.Keys(groups)), ", ")
}

// folder is where the recipe goes in a catalogue.
func (r Recipe) folder() string {
	base := strings.NewReplacer("{", "", "}", "").Replace(r.Name)
	if r.Kind == recipes.MetaPackage {
		return path.Join("meta", base)
	}
	return path.Join("components", r.Group, base)
}

var (
	//go:embed recipe.yaml.tmpl
	recipeText string
	//go:embed component.spec.tmpl
	specText string
)

// files are the recipe's, by their names in its folder.
func (r Recipe) files(c *recipes.Catalog) (map[string][]byte, error) {
	if r.Summary == "" {
		r.Summary = r.Name
	}
	if r.Kind == recipes.MetaPackage && len(r.Requires) == 0 {
		r.Requires = []string{"bash"}
	}
	described, err := fill(recipeText, r)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"recipe.yaml": described}
	if r.Kind == recipes.Component {
		if files["SPECS/"+r.Name+".spec"], err = fill(specText, r.spec(c)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// spec is what the spec's template is filled with.
type spec struct {
	Recipe
	Macros     bool     // the catalogue has OHPC_macros
	Compiler   bool     // it is built with a compiler family
	MPI        bool     // and with an MPI family
	Members    []string // the macros of the families' members
	Filesystem bool     // the catalogue has a package that owns the common folders
	Day        string   // as changelogs have it
}

func (r Recipe) spec(c *recipes.Catalog) spec {
	s := spec{Recipe: r, Day: c.Date.UTC().Format("Mon Jan 02 2006")}
	s.Macros = slices.ContainsFunc(c.Shared, func(f recipes.File) bool { return f.Name == "OHPC_macros" })
	_, err := c.Recipe("ohpc-filesystem")
	s.Filesystem = err == nil
	for _, name := range slices.Sorted(maps.Keys(r.Families)) {
		if f, err := c.Family(name); err == nil {
			s.Members = append(s.Members, "%{"+f.Define+"}")
			s.Compiler = s.Compiler || f.Define == "compiler_family"
			s.MPI = s.MPI || f.Define == "mpi_family"
		}
	}
	return s
}

func fill(text string, v any) ([]byte, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"quote": quote,
		"join":  func(sep string, list []string) string { return strings.Join(list, sep) },
		// A percent sign is one only when rpm does not take it for a macro's.
		"plain": func(s string) string { return strings.ReplaceAll(s, "%", "%%") },
	}).Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+._-]*( [A-Za-z0-9+._-]+)*$`)

// quote is a text as YAML has it; what could be anything else than text is put
// in quotes.
func quote(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if word.MatchString(text) {
			return text
		}
	}
	return strconv.Quote(text)
}

func write(root string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
