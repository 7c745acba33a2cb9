// Package debian bootstraps a root file system from a Debian archive and makes an
// OCI image of it, for this architecture or, through emulation, for another.
//
// mmdebstrap does the work, from the mirror that this host's apt is configured
// with, or from its own default. What is kept of its archive is what does not
// depend on when and where it ran; then come the few files that make rpm, dnf and
// zypper at home in it, and the user that builds.
package debian
