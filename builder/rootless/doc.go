// Package rootless makes an ordinary user root of a user namespace, so that
// everything that assembles and changes root file systems works for who has no
// root on the host.
//
// [Enter] replaces the process by the same program in the namespace, as `buildah
// unshare` does. Root there is the user outside; the other users of a root file
// system are the subordinate ids that /etc/subuid and /etc/subgid give the user,
// mapped by newuidmap and newgidmap. Mounts, owners and containers are then the
// kernel's affair, and no other package has two ways to do things.
package rootless
