// Package schema tells editors and people what the files of a catalogue may
// hold: a JSON Schema (draft 2020-12) of each, and the reference docs/recipe.md.
//
// Both are made of the Go types that package load decodes into. What a field
// means is its comment there, copied into descriptions.json by this package's
// test with -update, and its example comes from the catalogue in example. The
// tests fail when any of these is missing or stale, and when the schema and
// package load disagree about a file.
package schema
