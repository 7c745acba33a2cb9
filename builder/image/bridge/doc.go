// Package bridge tells rpm, dnf and zypper what a system holds that did not come
// as RPM packages, so that real dependency checks work on it.
//
// It looks at an unpacked root and writes the package distro-bridge, which holds
// no file and provides what an RPM distribution's own packages would: sonames with
// symbol versions as rpm's elfdeps prints them, programs by path, pkg-config and
// Perl modules, the release, and packages under their usual RPM names from a
// table, as far as the system's own package manager says that they are installed.
// The target's own rpmbuild makes the package and its own rpm installs it; the
// change is one more layer of the image.
package bridge
