package schema

import (
	"bytes"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// Reference is docs/recipe.md: each key of each kind of file.
func Reference() ([]byte, error) {
	texts, err := descriptions()
	if err != nil {
		return nil, err
	}
	values, err := examples()
	if err != nil {
		return nil, err
	}
	r := &reference{texts: texts, examples: values, done: map[string]bool{}}
	r.WriteString(opening)
	fsys, err := exampleCatalog()
	if err != nil {
		return nil, err
	}
	for _, name := range shown() {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(r, "\n```yaml\n# %s\n%s```\n", name, text)
	}
	for _, f := range files() {
		fmt.Fprintf(r, "\n## `%s`\n\n%s\n", f.where, cell(texts[f.model.Name()]))
		r.table(f.model)
		r.nested(f.model)
	}
	return r.Bytes(), nil
}

const opening = `<!-- Written by "go test ./recipes/schema -update" from the Go types; do not edit. -->

# What recipes and the other files of a catalogue hold

How they work together tells the [guide](guide.md). For completion and checks while typing, give your editor the
schema of the file: ` + "`ohpc-build recipe schema`" + ` prints that of recipe.yaml, ` + "`ohpc-build recipe schema target`" + ` that of a
target, and so on. Keys that are not listed here are errors, and so are keys without a value. Where a text is wanted a
number is taken as it is written: 1.10 stays 1.10.

A component and a meta-package:
`

type reference struct {
	bytes.Buffer
	texts    map[string]string
	examples map[string]any
	done     map[string]bool
}

func (r *reference) table(t reflect.Type) {
	r.WriteString("\n| key | type | default | what it is | example |\n| --- | --- | --- | --- | --- |\n")
	for _, f := range fields(t) {
		name := t.Name() + "." + f.Name
		fallback := f.Tag.Get("default")
		switch {
		case f.required:
			fallback = "**required**"
		case fallback == "":
			fallback = "–"
		}
		example := ""
		if v, ok := r.examples[name]; ok && !f.nested() {
			example = "`" + flow(v) + "`"
		}
		fmt.Fprintf(r, "| `%s` | %s | %s | %s | %s |\n", f.key, cell(typeName(f.Type)), cell(fallback), cell(r.texts[name]), cell(example))
	}
}

// nested goes on with what the fields of a struct are made of, each once.
func (r *reference) nested(t reflect.Type) {
	for _, f := range fields(t) {
		of := structOf(f.Type)
		if of == nil || r.done[of.Name()] {
			continue
		}
		r.done[of.Name()] = true
		fmt.Fprintf(r, "\n### %s\n\n%s", of.Name(), cell(r.texts[of.Name()]))
		if short, ok := shorthand(of); ok {
			fmt.Fprintf(r, " A text in its place is its `%s`.", short.key)
		}
		r.WriteString("\n")
		r.table(of)
		r.nested(of)
	}
}

// typeName says what a type looks like in YAML, with a link to what has a table
// of its own.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[recipes.Kind]():
		return fmt.Sprintf("`%s` or `%s`", recipes.Component, recipes.MetaPackage)
	case reflect.TypeFor[recipes.Rule]():
		return "`" + strings.Join(recipes.Rules(), "`, `") + "`"
	case reflect.TypeFor[recipes.Choice]():
		return "list of members, or `" + recipes.All + "`"
	case reflect.TypeFor[recipes.Size]():
		return "size: a number with KiB, MiB, GiB or TiB"
	case reflect.TypeFor[recipes.Duration]():
		return "time: 90s, 15m, 6h"
	case reflect.TypeFor[recipes.Date]():
		return "day"
	case reflect.TypeFor[recipes.Timestamp]():
		return "second in UTC"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		link := fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
		if _, ok := shorthand(t); ok {
			link += " or text"
		}
		return link
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "table of name: " + typeName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	}
	return "text"
}

// cell keeps a text from ending its cell.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}
