// Package emulate makes programs of another architecture run: it says, before
// anything is started, whether this host can, and if not, what mends it.
//
// The kernel hands a foreign program to qemu-user by an entry of binfmt_misc.
// Containers hold nothing of qemu: the entry's flag F makes the kernel keep the
// interpreter open, so that it is found in every root.
package emulate
