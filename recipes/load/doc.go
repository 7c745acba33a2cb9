// Package load reads a catalogue of recipes from files, completely and
// strictly: the result is either one in which every name refers to something
// that exists, or all that is wrong with it, each problem with file, line and
// column.
//
//	catalog.yaml                             the release, and defines for every job
//	components/<group>/<name>/recipe.yaml    a component
//	components/<group>/<name>/SPECS/*.spec
//	components/<group>/<name>/SOURCES/*      files beside the spec
//	components/<group>/<name>/tests/*
//	meta/<name>/recipe.yaml                  a meta-package
//	families/<family>.yaml
//	targets/<target>.yaml
//	pins/<name>.yaml                         a source tree that is followed between releases
//	shared/*                                 files for every job's _sourcedir
package load
