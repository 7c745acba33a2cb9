package strict

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxSize bounds a file in bytes. The largest recipe has a few thousand, and
	// the parser's time grows with the square of some files' size.
	maxSize = 64 << 10
	// maxDepth bounds the nesting of brackets and indentation.
	maxDepth = 64
)

// Document remembers where each value of a file stands, so that what is found
// wrong later can still be located.
type Document struct {
	file      string
	positions map[string]position
}

type position struct{ line, column int }

// Problem describes something wrong with the value at path, such as
// "sources[1].sha256". Where the file has no such value it points to the nearest
// one around it. An empty path means the whole file.
func (d *Document) Problem(path, hint, format string, args ...any) *Problem {
	p := &Problem{File: d.file, Message: fmt.Sprintf(format, args...), Hint: hint}
	for path != "" {
		if at, ok := d.positions[path]; ok {
			p.Line, p.Column = at.line, at.column
			break
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return p
}

// Has says whether the file has a value at path.
func (d *Document) Has(path string) bool {
	_, ok := d.positions[path]
	return ok
}

// Decode reads one YAML document into v, a pointer to a struct. The error is a
// Problems with everything that is wrong; the Document is there even then.
func Decode(file string, data []byte, v any) (*Document, error) {
	dec := &decoder{doc: &Document{file: file, positions: map[string]position{}}}
	body, err := parse(data)
	switch {
	case err != nil:
		dec.problems = append(dec.problems, syntaxProblem(file, err))
	case body == nil:
		dec.problems = append(dec.problems, &Problem{File: file, Message: "the file is empty"})
	default:
		dec.value(body, reflect.ValueOf(v).Elem(), "")
	}
	return dec.doc, dec.problems.Err()
}

// parse returns the body of the only document in data, nil when there is none.
func parse(data []byte) (body ast.Node, err error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("the file is larger than %d KiB", maxSize>>10)
	}
	if err := checkDepth(data); err != nil {
		return nil, err
	}
	// The parser is not ours and the file is a stranger's: a panic in there is
	// a file that cannot be read, not the end of the program.
	defer func() {
		if r := recover(); r != nil {
			body, err = nil, fmt.Errorf("not readable as YAML: %v", r)
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return nil, errors.New("the file holds more than one YAML document")
		}
		body = doc.Body
	}
	return body, nil
}

// checkDepth refuses nesting that would make a recursive parser run out of
// stack. It counts brackets and dashes without regard to quotes: no honest file
// comes near.
func checkDepth(data []byte) error {
	brackets, dashes := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{':
			brackets++
		case ']', '}':
			brackets = max(0, brackets-1)
		case '-', '?', ':':
			dashes++
		case ' ', '\t':
			continue
		case '\n':
			dashes = 0
			continue
		default:
			dashes = 0
			continue
		}
		if brackets > maxDepth || dashes > maxDepth*4 {
			return errors.New("the file is nested too deeply")
		}
	}
	return nil
}

func syntaxProblem(file string, err error) *Problem {
	p := &Problem{File: file, Message: err.Error()}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		p.Message = syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

type decoder struct {
	doc      *Document
	problems Problems
}

func (d *decoder) fail(n ast.Node, hint, format string, args ...any) {
	at := positionOf(n)
	d.problems = append(d.problems, &Problem{
		File: d.doc.file, Line: at.line, Column: at.column,
		Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// value decodes n into v, whose place in the file is path.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	if len(d.doc.positions) > maxSize {
		return
	}
	if path != "" {
		d.doc.positions[path] = positionOf(n)
	}
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fail(n, "write the value out", "anchors, aliases and tags are not allowed")
		return
	case *ast.NullNode:
		d.fail(n, "leave the key out or give it a value", "%s has no value", named(path))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
		return
	}
	if scalar, ok := n.(ast.ScalarNode); ok {
		d.scalar(scalar, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if len(orderedFields(v.Type())) == 0 {
			d.fail(n, "", "%s must be %s, not %s", named(path), kindOf(v.Type()), describe(n))
			return
		}
		d.mapping(n, v, path, d.structure)
	case reflect.Map:
		d.mapping(n, v, path, d.table)
	case reflect.Slice:
		d.sequence(n, v, path)
	default:
		d.fail(n, "", "%s must be %s, not %s", named(path), kindOf(v.Type()), describe(n))
	}
}

func (d *decoder) scalar(n ast.ScalarNode, v reflect.Value, path string) {
	text := textOf(n)
	_, isBool := n.(*ast.BoolNode)
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && !isBool {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			d.fail(n, "", "%s: %v", named(path), err)
		}
		return
	}
	ok := false
	switch v.Kind() {
	case reflect.String:
		// 3 and 1.10 where a string is wanted are what they look like; true is not.
		if !isBool {
			v.SetString(text)
			ok = true
		}
	case reflect.Bool:
		if b, isBool := n.(*ast.BoolNode); isBool {
			v.SetBool(b.Value)
			ok = true
		}
	case reflect.Int, reflect.Int64:
		if i, err := strconv.ParseInt(text, 10, v.Type().Bits()); err == nil && isNumber(n) {
			v.SetInt(i)
			ok = true
		}
	}
	if !ok {
		d.fail(n, "", "%s must be %s, not %s", named(path), kindOf(v.Type()), describe(n))
	}
}

// mapping walks over a node's keys with each, after it has seen that it is a
// mapping and that no key stands twice.
func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, each func(n ast.Node, entries []*ast.MappingValueNode, v reflect.Value, path string)) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.fail(n, "", "%s must be %s, not %s", named(path), kindOf(v.Type()), describe(n))
		return
	}
	var entries []*ast.MappingValueNode
	seen := map[string]bool{}
	for it := m.MapRange(); it.Next(); {
		entry := it.KeyValue()
		key, ok := entry.Key.(ast.ScalarNode)
		if !ok || entry.Key.Type() == ast.MergeKeyType {
			d.fail(entry.Key, "", "a key must be a plain word")
			continue
		}
		if seen[textOf(key)] {
			d.fail(entry.Key, "", "%q is given twice", textOf(key))
			continue
		}
		seen[textOf(key)] = true
		entries = append(entries, entry)
	}
	each(n, entries, v, path)
}

func (d *decoder) structure(n ast.Node, entries []*ast.MappingValueNode, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	given := map[string]bool{}
	for _, entry := range entries {
		key := textOf(entry.Key.(ast.ScalarNode))
		f, ok := fields[key]
		if !ok {
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			d.fail(entry.Key, DidYouMean(key, names), "unknown key %q", key)
			continue
		}
		given[key] = true
		d.value(entry.Value, v.Field(f.index), join(path, key))
		if text, ok := entry.Value.(*ast.StringNode); ok && f.required && text.Value == "" {
			d.fail(entry.Value, "", "%s is empty", join(path, key))
		}
	}
	for _, f := range orderedFields(v.Type()) {
		if f.required && !given[f.name] {
			d.fail(n, "", "%q is missing%s", f.name, in(path))
		}
	}
}

func (d *decoder) table(_ ast.Node, entries []*ast.MappingValueNode, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, entry := range entries {
		key := textOf(entry.Key.(ast.ScalarNode))
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(entry.Value, element, join(path, key))
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
		// Keys of a table are names that people choose and may get wrong.
		d.doc.positions[join(path, key)] = positionOf(entry.Key)
	}
}

func (d *decoder) sequence(n ast.Node, v reflect.Value, path string) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, "", "%s must be %s, not %s", named(path), kindOf(v.Type()), describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, element := range s.Values {
		d.value(element, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

type field struct {
	name     string
	index    int
	required bool
}

func orderedFields(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields = append(fields, field{name: name, index: i, required: options == "required"})
	}
	return fields
}

func fieldsOf(t reflect.Type) map[string]field {
	m := map[string]field{}
	for _, f := range orderedFields(t) {
		m[f.name] = f
	}
	return m
}

// textOf is a scalar as the file has it, without quotes.
func textOf(n ast.ScalarNode) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	default:
		return n.GetToken().Value
	}
}

func isNumber(n ast.Node) bool { return n.Type() == ast.IntegerType }

func positionOf(n ast.Node) position {
	t := n.GetToken()
	if m, ok := n.(ast.MapNode); ok {
		// The token of a mapping is its colon or brace: people look for its first key.
		if it := m.MapRange(); it.Next() {
			t = it.Key().GetToken()
		}
	}
	if t == nil || t.Position == nil {
		return position{}
	}
	if t.Type == token.SequenceEntryType && t.Next != nil && t.Next.Position != nil {
		t = t.Next
	}
	return position{t.Position.Line, t.Position.Column}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func named(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// kindOf says what a Go type looks like in YAML.
func kindOf(t reflect.Type) string {
	if isText(t) && t.Kind() != reflect.Slice && (t.Kind() != reflect.Struct || len(orderedFields(t)) == 0) {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	default:
		return "a string"
	}
}

func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value
	case *ast.StringNode, *ast.LiteralNode:
		text := textOf(n.(ast.ScalarNode))
		if len(text) > 40 {
			text = text[:40] + "…"
		}
		return strconv.Quote(text)
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a mapping"
	default:
		return strings.ToLower(n.Type().String())
	}
}
