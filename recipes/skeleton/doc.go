// Package skeleton begins a recipe: a folder in a catalogue with a recipe.yaml
// that says what else it could hold, and for a component a spec that builds as it
// is and follows the catalogue's customs. What is written loads without an error,
// or is not left behind.
package skeleton
