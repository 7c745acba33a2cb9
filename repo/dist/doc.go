// Package dist makes of a snapshot what is carried to where there is no network:
// one tar archive for a target and an architecture, with metadata for exactly
// the packages that it holds, the public keys, and a script that makes the
// unpacked folder known to dnf, yum or zypper.
package dist
