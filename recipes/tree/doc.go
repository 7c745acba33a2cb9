// Package tree reads a checkout of OpenHPC as it is, as a catalogue of recipes.
//
// What a recipe.yaml would say is found where OpenHPC keeps it: the components are
// the folders below components/ with a folder SPECS; what all of them share lies
// in components/ itself; misc/obs/config.* lists, for each release, the families
// and what is left out where; and a spec's own text tells which families and
// defines multiply it. Nothing in the tree is run, and nothing outside it is read.
package tree
