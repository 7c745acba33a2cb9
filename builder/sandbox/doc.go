// Package sandbox runs one command in one container: it writes an OCI bundle,
// joins the root file system with overlayfs and calls an OCI runtime (runc by
// default). There is no daemon.
//
// The overlay is mounted in a mount namespace of the runtime's own, so that
// nothing of it is ever seen on the host and nothing stays mounted when the
// program is killed. What else a killed program leaves, a running container and
// its folder, [Runtime.Clean] finds and removes.
//
// A container has its own pid, mount, ipc, uts and, unless it asks for the
// host's, network namespace, a system call filter, no new privileges, and either
// no capability at all or the few that a package manager needs.
package sandbox
