// Package updateinfo makes advisories (updateinfo.xml) of what changed between
// two sets of packages, and writes and reads them. With them, "dnf updateinfo",
// "dnf upgrade --security" and "zypper patch" tell people what an update is for.
//
// There is one advisory for each source package of which something new came.
// What is in it comes from the packages alone, above all from their changelogs:
// the same two sets give the same advisories, whenever and in whatever order. In
// a repository's metadata the document has the kind "updateinfo".
package updateinfo
