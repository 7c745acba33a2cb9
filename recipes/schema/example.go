package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// exampleFiles is a correct catalogue in which each key is used.
//
//go:embed example
var exampleFiles embed.FS

// exampleCatalog is the catalogue as package load reads it.
func exampleCatalog() (fs.FS, error) { return fs.Sub(exampleFiles, "example") }

// kindOf is the kind of a catalogue's file, or "".
func kindOf(name string) string {
	switch {
	case path.Base(name) == "recipe.yaml":
		return "recipe"
	case name == "catalog.yaml":
		return "catalog"
	}
	switch dir, _ := path.Split(name); dir {
	case "targets/":
		return "target"
	case "families/":
		return "family"
	case "pins/":
		return "pin"
	}
	return ""
}

// shown are the files of the example that the reference begins with, and whose
// values go before those of others.
func shown() []string {
	return []string{"components/io-libs/hdf5/recipe.yaml", "meta/ohpc-compiler-io-libs/recipe.yaml", "targets/EL_9.yaml"}
}

// examples are the first values that the example has of each field ("Source.File").
func examples() (map[string]any, error) {
	fsys, err := exampleCatalog()
	if err != nil {
		return nil, err
	}
	names := shown()
	err = fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the example: %w", err)
	}
	found := map[string]any{}
	for _, name := range names {
		i := slices.IndexFunc(files(), func(f file) bool { return f.name == kindOf(name) })
		if i < 0 {
			continue
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("reading the example: %w", err)
		}
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			return nil, fmt.Errorf("reading the example: %s: %w", name, err)
		}
		collect(files()[i].model, v, found)
	}
	return found, nil
}

// collect adds what v, decoded from a file, holds of the fields of a type.
func collect(t reflect.Type, v any, found map[string]any) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			if t.Kind() == reflect.Slice {
				collect(t.Elem(), element, found)
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return // the tables of a catalogue hold no structs
		}
		for _, f := range fields(t) {
			value, ok := v[f.key]
			if !ok {
				continue
			}
			if name := t.Name() + "." + f.Name; found[name] == nil {
				found[name] = value
			}
			collect(f.Type, value, found)
		}
	}
}

// flow is a value as YAML has it on one line.
func flow(v any) string {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, element := range v {
			parts = append(parts, flow(element))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for key, value := range v {
			parts = append(parts, flow(key)+": "+flow(value))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case string:
		var other any
		if err := yaml.Unmarshal([]byte("["+v+"]"), &other); err != nil || !reflect.DeepEqual(other, []any{v}) {
			return strconv.Quote(v)
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
