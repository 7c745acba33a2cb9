package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
)

const schemaFile = "../../docs/matrix.schema.json"

// TestSchema compares docs/matrix.schema.json with the types it is made of.
func TestSchema(t *testing.T) {
	g := &generator{comments: comments(t), defs: map[string]any{}}
	root := g.object(reflect.TypeFor[report.Run]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "matrix.json, the report of ohpc-build"
	root["description"] = fmt.Sprintf("Version %d. New fields do not change the version; a field that changes its meaning or goes away does.", report.Version)
	root["properties"].(map[string]any)["version"] = map[string]any{"const": report.Version}
	root["$defs"] = g.defs
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(root))
	golden(t, schemaFile, b.Bytes())
}

// TestReportsFitTheSchema holds reports of all sizes to the schema, and one of a
// real run.
func TestReportsFitTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	require.NoError(t, err)
	fits := func(doc []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		require.NoError(t, err)
		return schema.Validate(v)
	}
	for _, r := range []*report.Run{reporttest.Sample(), reporttest.Large(1200)} {
		doc, err := r.JSON()
		require.NoError(t, err)
		require.NoError(t, fits(doc))
	}
	real, err := os.ReadFile("testdata/run.json")
	require.NoError(t, err)
	require.NoError(t, fits(real))

	for name, wrong := range map[string][2]string{
		"another version": {`"version": 1`, `"version": 2`},
		"unknown result":  {`"result": "reused"`, `"result": "perhaps"`},
		"no recipe":       {`"recipe": "lmod",`, ``},
		"text for number": {`"arch": "x86_64"`, `"arch": 64`},
	} {
		doc := strings.Replace(string(real), wrong[0], wrong[1], 1)
		require.NotEqual(t, string(real), doc, name)
		require.Error(t, fits([]byte(doc)), name)
	}
}

// generator makes a JSON schema of Go types.
type generator struct {
	comments map[string]string
	defs     map[string]any
}

func (g *generator) of(typ reflect.Type) map[string]any {
	switch {
	case typ == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case typ == reflect.TypeFor[report.Outcome]():
		return map[string]any{"enum": []report.Outcome{report.Built, report.Reused, report.Shared, report.Pass, report.Fail, report.Skip}}
	case typ == reflect.TypeFor[report.Status]():
		return map[string]any{"enum": []report.Status{report.Supported, report.TechPreview}}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return g.of(typ.Elem())
	case reflect.Struct:
		if _, ok := g.defs[typ.Name()]; !ok {
			g.defs[typ.Name()] = nil
			g.defs[typ.Name()] = g.object(typ)
		}
		return map[string]any{"$ref": "#/$defs/" + typ.Name()}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.of(typ.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.of(typ.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	}
	return map[string]any{"type": "number"}
}

func (g *generator) object(typ reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := g.of(f.Type)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
			// An empty list of Go is written as null.
			if f.Type.Kind() == reflect.Slice {
				p["type"] = []string{"array", "null"}
			}
		}
		if text := g.comments[typ.Name()+"."+f.Name]; text != "" {
			p["description"] = text
		}
		properties[name] = p
	}
	o := map[string]any{"type": "object", "properties": properties, "required": required}
	if text := g.comments[typ.Name()]; text != "" {
		o["description"] = text
	}
	return o
}

// comments are what the source says of types ("Job") and fields ("Job.Needs").
func comments(t *testing.T) map[string]string {
	texts := map[string]string{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range f.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			spec := decl.Specs[0].(*ast.TypeSpec)
			texts[spec.Name.Name] = oneLine(decl.Doc)
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, name := range field.Names {
						texts[spec.Name.Name+"."+name.Name] = oneLine(field.Comment)
					}
				}
			}
		}
	}
	return texts
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
