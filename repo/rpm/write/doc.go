// Package write writes RPM packages of format 4 without rpmbuild: binary and
// source packages, with or without files, in memory. What it writes rpm reads,
// verifies, installs and builds as if rpmbuild 4.18 had written it; the tests
// compare the two tag by tag.
//
// The same [Package] gives the same bytes everywhere: nothing comes from the
// clock, the host, its architecture or its configuration. Packages carry all
// digests and no signature; repo/sign adds one.
//
// What is not written: scripts and triggers, devices, hard links, capabilities,
// file colours and classes, and the tags that only tell where rpmbuild ran
// (platform, compiler flags) or repeat the spec in expanded form.
package write
