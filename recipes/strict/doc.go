// Package strict reads YAML files that people write, and forgives nothing: an
// unknown key, a wrong type or a missing field is a problem with its file, line
// and column, and where a word looks mistyped, with the word that was probably
// meant. All problems of a file are reported at once.
//
// The Go types are the schema: `yaml:"name,required"` names a key. Anchors,
// aliases, merge keys and tags are refused, so a file means what it shows and
// cannot grow when read.
package strict
