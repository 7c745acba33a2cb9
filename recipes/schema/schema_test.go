package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

var update = flag.Bool("update", false, "write the generated files anew")

// models are all structs that files are decoded into, by name.
func models() map[string]reflect.Type {
	found := map[string]reflect.Type{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		if found[t.Name()] != nil {
			return
		}
		found[t.Name()] = t
		for _, f := range fields(t) {
			if of := structOf(f.Type); of != nil {
				add(of)
			}
		}
	}
	for _, f := range files() {
		add(f.model)
	}
	return found
}

// comments reads from the sources of package recipes what it says of the models.
func comments(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	sources, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			for _, s := range decl.Specs {
				typ := s.(*ast.TypeSpec)
				structure, ok := typ.Type.(*ast.StructType)
				model := models()[typ.Name.Name]
				if !ok || model == nil {
					continue
				}
				texts[model.Name()] = text(decl.Doc)
				for _, f := range fields(model) {
					texts[model.Name()+"."+f.Name] = ""
				}
				for _, f := range structure.Fields.List {
					for _, name := range f.Names {
						key := model.Name() + "." + name.Name
						if _, ok := texts[key]; ok {
							texts[key] = text(f.Doc) + text(f.Comment)
						}
					}
				}
			}
		}
	}
	return texts
}

var goLink = regexp.MustCompile(`\[([A-Z][A-Za-z.]*)\]`)

// text is a comment as a sentence of a document, without links that only Go knows.
func text(c *ast.CommentGroup) string {
	line := strings.Join(strings.Fields(c.Text()), " ")
	return goLink.ReplaceAllString(line, "$1")
}

// golden compares a generated file with the committed one.
func golden(t *testing.T, path string, fresh []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, fresh, 0o644))
	}
	committed, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(committed), string(fresh), "%s is stale: go test ./recipes/schema -update", path)
}

// TestGenerated holds descriptions.json, docs/recipe.md and the schemas against
// the Go types. -update writes them anew.
func TestGenerated(t *testing.T) {
	texts := comments(t)
	for name, text := range texts {
		require.NotEmpty(t, text, "recipes.%s has no comment: it is what the reference says of it", name)
	}
	for name, model := range models() {
		require.Contains(t, texts, name)
		for _, f := range fields(model) {
			require.Contains(t, texts, name+"."+f.Name)
		}
	}
	fresh, err := json.MarshalIndent(texts, "", "  ")
	require.NoError(t, err)
	if *update {
		descriptionsJSON = fresh // what was compiled in may be older
	}
	golden(t, "descriptions.json", append(fresh, '\n'))
	for _, name := range Names() {
		schema, err := JSON(name)
		require.NoError(t, err)
		golden(t, filepath.Join("testdata", name+".json"), schema)
	}
	reference, err := Reference()
	require.NoError(t, err)
	golden(t, "../../docs/recipe.md", reference)
}

func TestUnknownSchema(t *testing.T) {
	_, err := JSON("recipes")
	require.EqualError(t, err, `there is no schema "recipes" (did you mean "recipe"?)`)
}

// Every key has an example, and every constraint something that it is of.
func TestNothingIsLeftOver(t *testing.T) {
	found, err := examples()
	require.NoError(t, err)
	left := constraints()
	for name, model := range models() {
		delete(left, name)
		for _, f := range fields(model) {
			delete(left, name+"."+f.Name)
			require.Contains(t, found, name+"."+f.Name, "the catalogue in example does not use the key %s", f.key)
		}
	}
	require.Empty(t, left, "there are no such fields")
}

func compiled(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	text, err := JSON(kind)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", doc))
	s, err := c.Compile("schema.json")
	require.NoError(t, err)
	return s
}

// value reads a YAML file as editors do, whose values a schema is for.
func value(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	require.NoError(t, yaml.Unmarshal(data, &v))
	text, err := json.Marshal(v)
	require.NoError(t, err)
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return v
}

func TestCataloguesConform(t *testing.T) {
	example, err := exampleCatalog()
	require.NoError(t, err)
	_, err = load.FS(example)
	require.NoError(t, err)
	for name, fsys := range map[string]fs.FS{"example": example, "embedded": catalog.FS()} {
		seen := map[string]int{}
		require.NoError(t, fs.WalkDir(fsys, ".", func(file string, _ fs.DirEntry, err error) error {
			require.NoError(t, err)
			kind := kindOf(file)
			if kind == "" {
				return nil
			}
			seen[kind]++
			data, err := fs.ReadFile(fsys, file)
			require.NoError(t, err)
			require.NoError(t, compiled(t, kind).Validate(value(t, data)), "%s: %s", name, file)
			return nil
		}))
		require.Positive(t, seen["recipe"])
		require.Positive(t, seen["target"])
	}
}

// mutations are files that differ from v in one place. A file that is one of the
// values is written in it as it is.
func mutations(v any) []any {
	var all []any
	// each puts every replacement of the value at one place into the whole.
	var each func(v any, whole func(any) any)
	each = func(v any, whole func(any) any) {
		for _, other := range []any{nil, true, 7, -7, 1.5, "word", "two words", "a/b", "{", []any{}, []any{"word"}, []any{nil}, map[string]any{}, map[string]any{"word": "word"}} {
			if !reflect.DeepEqual(v, other) {
				all = append(all, whole(other))
			}
		}
		switch v := v.(type) {
		case map[string]any:
			with := func(skip, add string, value any) map[string]any {
				m := map[string]any{}
				for k, v := range v {
					if k != skip {
						m[k] = v
					}
				}
				if add != "" {
					m[add] = value
				}
				return m
			}
			all = append(all, whole(with("", "unknown", "word")))
			for key, value := range v {
				all = append(all, whole(with(key, "", nil)), whole(with(key, key+"x", value)))
				each(value, func(other any) any { return whole(with(key, key, other)) })
			}
		case []any:
			for i, element := range v {
				each(element, func(other any) any {
					list := append([]any(nil), v...)
					list[i] = other
					return whole(list)
				})
			}
		}
	}
	each(v, func(v any) any { return v })
	return all
}

// Of files that are almost right the schema refuses each that the strict decoder
// refuses, and none that package load accepts.
func TestSchemaAgreesWithLoad(t *testing.T) {
	example, err := exampleCatalog()
	require.NoError(t, err)
	correct := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(example, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(example, file)
		correct[file] = &fstest.MapFile{Data: data}
		return err
	}))
	refused, accepted := 0, 0
	for file, f := range correct {
		kind := kindOf(file)
		if kind == "" || strings.Contains(file, "-families/") {
			continue
		}
		s := compiled(t, kind)
		for _, m := range mutations(value(t, f.Data)) {
			text, err := json.Marshal(m) // JSON is YAML
			require.NoError(t, err)
			var model any
			for _, f := range files() {
				if f.name == kind {
					model = reflect.New(f.model).Interface()
				}
			}
			_, decodeErr := strict.Decode(file, text, model)
			schemaErr := s.Validate(value(t, text))
			if decodeErr != nil {
				refused++
				require.Error(t, schemaErr, "decoding %s of\n%s\nfails with %v", file, text, decodeErr)
				continue
			}
			if schemaErr == nil {
				accepted++
				continue
			}
			refused++
			changed := fstest.MapFS{}
			for name, f := range correct {
				changed[name] = f
			}
			changed[file] = &fstest.MapFile{Data: text}
			_, loadErr := load.FS(changed)
			require.Error(t, loadErr, "%s of\n%s\nis refused by the schema: %v", file, text, schemaErr)
		}
	}
	require.Greater(t, refused, 1000)
	require.Greater(t, accepted, 50)
}

// What package load refuses for its shape, the schema refuses too.
func TestMalformed(t *testing.T) {
	sha := "sha256: " + strings.Repeat("0", 63) + "a"
	component := "name: probe\nkind: component\ngroup: libs\nsummary: s\n"
	meta := "name: ohpc-probe\nkind: meta-package\nsummary: s\n"
	require.NoError(t, compiled(t, "recipe").Validate(value(t, []byte(component))))
	require.NoError(t, compiled(t, "recipe").Validate(value(t, []byte(meta+"requires: [a]\n"))))
	for name, text := range map[string]string{
		"source from nowhere":    component + "sources: [{file: a}]\n",
		"source from two places": component + "sources: [{file: a, generated: k, url: 'https://example.org/a', " + sha + "}]\n",
		"source without digest":  component + "sources: [{file: a, url: 'https://example.org/a'}]\n",
		"short digest":           component + "sources: [{file: a, url: 'https://example.org/a', sha256: 00a}]\n",
		"not http":               component + "sources: [{file: a, url: 'file:///a', " + sha + "}]\n",
		"mirrors of nothing":     component + "sources: [{file: a, generated: k, mirrors: ['https://example.org/a']}]\n",
		"source is a path":       component + "sources: [{file: ../a, generated: k}]\n",
		"git without commit":     component + "sources: [{file: a.tar, git: {url: x, prefix: a}}]\n",
		"git with pin and url":   component + "sources: [{file: a.tar, git: {url: x, pin: x, prefix: a}}]\n",
		"patch without commit":   component + "patches: [{file: a, url: x}]\n",
		"patch of a branch":      component + "patches: [{file: a, url: x, commit: main}]\n",
		"requires elsewhere":     component + "requires: [a]\n",
		"no group":               strings.Replace(component, "group: libs\n", "", 1),
		"bad size":               component + "needs: {memory: 2GB}\n",
		"bad time":               component + "needs: {time: 2 hours}\n",
		"negative":               component + "needs: {cores: -1}\n",
		"variant without":        component + "variants: [{name: a}]\n",
		"macro of a variant":     component + "variants: [{name: a, defines: {a-b: c}}]\n",
		"no reason":              component + "exclude: [{arch: x86_64}]\n",
		"test elsewhere":         component + "tests: [SOURCES/a]\n",
		"bad name":               strings.Replace(component, "probe", "../probe", 1),
		"nothing required":       meta,
		"empty list":             meta + "requires: []\n",
		"meta with sources":      meta + "requires: [a]\nsources: []\n",
		"meta with patches":      meta + "requires: [a]\npatches: []\n",
		"bad requirement":        meta + "requires: [a b]\n",
		"empty condition":        meta + "requires: [{package: a, only: {}}]\n",
		"empty targets":          meta + "requires: [{package: a, except: {targets: []}}]\n",
		"member for members":     meta + "families: {compiler: gnu12}\nrequires: [a]\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, compiled(t, "recipe").Validate(value(t, []byte(text))))
			dir := "components/libs/probe"
			if strings.HasPrefix(text, meta) {
				dir = "meta/ohpc-probe"
			}
			_, err := load.FS(fstest.MapFS{
				"catalog.yaml":                           {Data: []byte("release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")},
				dir + "/recipe.yaml":                     {Data: []byte(text)},
				"components/libs/probe/SPECS/probe.spec": {Data: []byte("Name: probe\n")},
				"components/libs/probe/tests/a":          {},
			})
			require.Error(t, err)
		})
	}
}

func TestFlow(t *testing.T) {
	for want, v := range map[string]any{
		"[a, b]":                []any{"a", "b"},
		`{a: "1", b: [c]}`:      map[string]any{"b": []any{"c"}, "a": "1"},
		`"{compiler}-x"`:        "{compiler}-x",
		"7":                     7,
		"https://example.org/a": "https://example.org/a",
		"tests/a.sh":            "tests/a.sh",
	} {
		require.Equal(t, want, flow(v), fmt.Sprint(v))
	}
}
