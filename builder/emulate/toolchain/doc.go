// Package toolchain lets the host's own architecture do the work of a build
// whose root is of another one. From two roots of the same target, the image of
// the job (aarch64, say) and a native one that holds the same distribution's
// cross compiler (x86_64), it computes a [Plan]: files of the native root that
// are mounted over their counterparts in the image, read-only.
//
// # Why it works
//
// The kernel decides for each program how it runs: the image's own go to qemu,
// the mounted ones run directly. The loader and the libraries of the other
// architecture lie beside the image's own, as Debian's multiarch keeps them
// apart; only the libraries that the mounted programs name are brought in.
// The sandbox makes the mount points in a layer that is thrown away, and no
// package is ever made from a mounted file.
//
// # Why the code is the same
//
// A distribution builds its cross compiler from the sources of its native one.
// Three differences remain, and a launcher, a short script in the place of the
// program, closes each of them:
//
//   - The driver (driver.sh) and the compilers proper (pass.sh) look for headers
//     and objects elsewhere. They are pointed at the image's, by the ways that
//     GCC has for compilers which were moved; those leave no trace in what it
//     writes, debug information and __FILE__ included.
//   - A linker that is not native ignores LD_LIBRARY_PATH and LD_RUN_PATH when
//     it looks for what libraries need (linker.sh), and such a driver ignores
//     LIBRARY_PATH (driver.sh). Modules set them.
//   - The two may have been built from different patch levels. A security update
//     need not reach the cross compiler. [Plan] takes such a pair only when the
//     difference is known (difference.go), and what it touches is compiled by
//     the image's own compiler. Everything else is compiled the same, byte for
//     byte, but for the version in .comment.
//
// # Why the packages are the same
//
// rpm reads the image's configuration and runs the image's scripts. It stays
// emulated unless it and all the libraries that it loads, those that compress
// and libmagic among them, are of the same package versions in both roots. One
// thing it asks the kernel, its machine; a launcher (rpm.sh) has its loader
// preload a library that answers for the image's (package uname), and that
// nothing which rpm starts inherits.
//
// Packages are installed into build roots by the native rpm too ([Plan.Install]);
// whatever a scriptlet runs is the image's own there, as nothing that packages
// bring may lie under a mount.
//
// # What stays emulated
//
// Whatever tells the architecture or depends on it: uname, arch, perl, python,
// ldd; tools that print long doubles (printf, seq, numfmt), which have
// another width; stdbuf, which preloads a library. Every question to a compiler
// (gcc -v, -dumpmachine, -print-search-dirs, -march=native) is answered by the
// image's own driver, and plug-ins, character sets and other system roots are
// left to its own passes. bash and make call themselves by other names through
// variables; [Plan.Env] sets these.
//
// What a build can still notice: that the bytes of /bin/sh are another
// architecture's (file /bin/sh), and the sign of a NaN in mawk.
package toolchain
