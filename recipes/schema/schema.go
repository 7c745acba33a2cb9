package schema

import (
	"bytes"
	_ "embed"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// Schema is a JSON Schema, as far as one is needed here.
type Schema struct {
	Dialect     string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Examples    []any  `json:"examples,omitempty"`

	Ref   string    `json:"$ref,omitempty"`
	Type  any       `json:"type,omitempty"` // a word, or several
	Enum  []string  `json:"enum,omitempty"`
	AnyOf []*Schema `json:"anyOf,omitempty"`
	OneOf []*Schema `json:"oneOf,omitempty"`
	AllOf []*Schema `json:"allOf,omitempty"`
	Not   *Schema   `json:"not,omitempty"`
	If    *Schema   `json:"if,omitempty"`
	Then  *Schema   `json:"then,omitempty"`

	Pattern   string `json:"pattern,omitempty"`
	MinLength int    `json:"minLength,omitempty"`
	Minimum   *int   `json:"minimum,omitempty"`

	Items    *Schema `json:"items,omitempty"`
	MinItems int     `json:"minItems,omitempty"`

	Properties        map[string]*Schema  `json:"properties,omitempty"`
	PropertyNames     *Schema             `json:"propertyNames,omitempty"`
	MinProperties     int                 `json:"minProperties,omitempty"`
	Required          []string            `json:"required,omitempty"`
	DependentRequired map[string][]string `json:"dependentRequired,omitempty"`
	Additional        any                 `json:"additionalProperties,omitempty"` // false, or a *Schema

	Defs map[string]*Schema `json:"$defs,omitempty"`
}

// file is a kind of file of a catalogue.
type file struct {
	name  string // as the command takes it
	where string // where a catalogue has such files
	model reflect.Type
}

func files() []file {
	return []file{
		{"recipe", "recipe.yaml", reflect.TypeFor[recipes.Recipe]()},
		{"target", "targets/<target>.yaml", reflect.TypeFor[recipes.Target]()},
		{"family", "families/<family>.yaml", reflect.TypeFor[recipes.Family]()},
		{"catalog", "catalog.yaml", reflect.TypeFor[recipes.Catalog]()},
		{"pin", "pins/<name>.yaml", reflect.TypeFor[recipes.Pin]()},
	}
}

// Names are the kinds of files that there are schemas of.
func Names() []string {
	var names []string
	for _, f := range files() {
		names = append(names, f.name)
	}
	return names
}

// JSON is the schema of a kind of file. The error is a *[recipes.NotFoundError]
// when there is no such kind.
func JSON(name string) ([]byte, error) {
	for _, f := range files() {
		if f.name != name {
			continue
		}
		s, err := schemaOf(f)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", name, err)
		}
		return b.Bytes(), nil
	}
	return nil, &recipes.NotFoundError{What: "schema", Name: name, Known: Names()}
}

//go:embed descriptions.json
var descriptionsJSON []byte

// descriptions are the comments of types ("Source") and fields ("Source.File").
func descriptions() (map[string]string, error) {
	var texts map[string]string
	if err := json.Unmarshal(descriptionsJSON, &texts); err != nil {
		return nil, fmt.Errorf("descriptions.json: %w", err)
	}
	return texts, nil
}

// generator makes the schema of one file.
type generator struct {
	texts    map[string]string
	examples map[string]any
	defs     map[string]*Schema
}

func schemaOf(f file) (*Schema, error) {
	texts, err := descriptions()
	if err != nil {
		return nil, err
	}
	examples, err := examples()
	if err != nil {
		return nil, err
	}
	g := &generator{texts: texts, examples: examples, defs: map[string]*Schema{}}
	root, err := g.object(f.model)
	if err != nil {
		return nil, err
	}
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = f.where + " of an ohpc-build catalogue"
	root.Defs = g.defs
	return root, nil
}

// of is the schema of a type, by reference when it is a struct.
func (g *generator) of(t reflect.Type) (*Schema, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s := scalar(t); s != nil {
		return s, nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.structure(t)
	case reflect.Slice:
		items, err := g.of(t.Elem())
		if err != nil {
			return nil, err
		}
		list := &Schema{Type: "array", Items: items}
		if isText(t) {
			if t != reflect.TypeFor[recipes.Choice]() {
				return nil, fmt.Errorf("%s is written as text, and nothing says how", t)
			}
			list.MinItems = 1
			return &Schema{AnyOf: []*Schema{{Enum: []string{recipes.All}}, list}}, nil
		}
		return list, nil
	case reflect.Map:
		values, err := g.of(t.Elem())
		if err != nil {
			return nil, err
		}
		return &Schema{Type: "object", Additional: values}, nil
	case reflect.String:
		return &Schema{Type: []string{"string", "number"}}, nil // 1.10 is read as it is written
	case reflect.Bool:
		return &Schema{Type: "boolean"}, nil
	case reflect.Int:
		return &Schema{Type: "integer"}, nil
	}
	return nil, fmt.Errorf("there is no schema for the type %s", t)
}

// structure refers to a struct's definition, and allows the text in its place
// that its type accepts.
func (g *generator) structure(t reflect.Type) (*Schema, error) {
	if _, ok := g.defs[t.Name()]; !ok {
		g.defs[t.Name()] = nil // on the way
		s, err := g.object(t)
		if err != nil {
			return nil, err
		}
		g.defs[t.Name()] = s
	}
	ref := &Schema{Ref: "#/$defs/" + t.Name()}
	short, ok := shorthand(t)
	if !ok {
		return ref, nil
	}
	text, err := g.field(t, short)
	if err != nil {
		return nil, err
	}
	text.MinLength = 1
	return &Schema{AnyOf: []*Schema{text, ref}}, nil
}

func (g *generator) object(t reflect.Type) (*Schema, error) {
	s := &Schema{Type: "object", Additional: false, Properties: map[string]*Schema{}, Description: g.texts[t.Name()]}
	for _, f := range fields(t) {
		p, err := g.field(t, f)
		if err != nil {
			return nil, err
		}
		if f.required {
			s.Required = append(s.Required, f.key)
			if f.Type.Kind() == reflect.String && !isText(f.Type) {
				p.MinLength = 1
			}
		}
		s.Properties[f.key] = p
	}
	s.apply(constraints()[t.Name()])
	return s, nil
}

func (g *generator) field(t reflect.Type, f field) (*Schema, error) {
	s, err := g.of(f.Type)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", t.Name(), f.Name, err)
	}
	name := t.Name() + "." + f.Name
	s.Description = g.texts[name]
	if example, ok := g.examples[name]; ok && !f.nested() {
		s.Examples = []any{example}
	}
	s.apply(constraints()[name])
	return s, nil
}

// field is a key of a file.
type field struct {
	reflect.StructField
	key      string
	required bool
}

// fields are the keys that a struct is decoded from, in the order of the type.
func fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			list = append(list, field{f, key, options == "required"})
		}
	}
	return list
}

// nested says whether a field holds structs that have fields of their own.
func (f field) nested() bool { return structOf(f.Type) != nil }

// structOf is the struct that a type, or its elements, are made of, or nil.
func structOf(t reflect.Type) reflect.Type {
	for {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			if scalar(t) != nil {
				return nil
			}
			return t
		default:
			return nil
		}
	}
}

// isText says whether a type decodes itself from text.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// shorthand is the field that a text in place of a struct gives.
func shorthand(t reflect.Type) (field, bool) {
	const probe = "probe"
	v := reflect.New(t)
	text, ok := v.Interface().(encoding.TextUnmarshaler)
	if !ok || text.UnmarshalText([]byte(probe)) != nil {
		return field{}, false
	}
	for _, f := range fields(t) {
		if f.Type.Kind() == reflect.String && v.Elem().FieldByIndex(f.Index).String() == probe {
			return f, true
		}
	}
	return field{}, false
}
