// Package group writes and reads groups of packages (comps.xml), which dnf
// installs by one name: "dnf group install ohpc-base". What is written depends
// on nothing but the groups, whatever order they come in.
//
// A group is made of plain data; who has meta-packages makes groups of them. In
// a repository's metadata the document has the kind "group".
package group
