// Package recipes is the model of what can be built: recipes, the families that
// multiply them, and the targets they are built for, together a [Catalog].
//
// Package load reads one from files, as the embedded default is. Nothing is
// executed or evaluated here: what a spec means for a target is asked of rpmspec
// by package spec, and where sources come from is the business of package source.
package recipes
