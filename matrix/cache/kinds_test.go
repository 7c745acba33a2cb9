package cache

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryKindIsKnown reads the program's source: a part of it that begins to keep
// records must say in the table what they refer to.
func TestEveryKindIsKnown(t *testing.T) {
	used := map[string]string{} // kind → where
	root := filepath.Join("..", "..")
	folders := map[string][]*ast.File{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		folders[filepath.Dir(path)] = append(folders[filepath.Dir(path)], file)
		return err
	})
	require.NoError(t, err)
	for dir, files := range folders {
		constants := stringConstants(files)
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "PutRecord" {
					return true
				}
				kind, ok := value(call.Args[0], constants)
				require.True(t, ok, "%s: the kind of a record must be a constant of its package", dir)
				used[kind] = dir
				return true
			})
		}
	}
	require.Greater(t, len(used), 8, "the source was found")
	for kind, dir := range used {
		_, known := kinds[kind]
		require.True(t, known, "%s keeps records of the kind %q: the table in kinds.go must say what they refer to", dir, kind)
	}
}

func stringConstants(files []*ast.File) map[string]string {
	constants := map[string]string{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, name := range spec.Names {
					if i < len(spec.Values) {
						if v, ok := value(spec.Values[i], nil); ok {
							constants[name.Name] = v
						}
					}
				}
			}
			return true
		})
	}
	return constants
}

func value(e ast.Expr, constants map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		return v, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		v, ok := constants[e.Name]
		return v, ok
	}
	return "", false
}
