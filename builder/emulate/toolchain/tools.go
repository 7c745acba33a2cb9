package toolchain

import (
	"debug/elf"
	"regexp"
)

// folder is where a container finds what launchers choose from: native/ and the
// image's own/.
const folder = "/usr/libexec/ohpc-build"

// system is what Debian calls the parts of an architecture.
type system struct {
	elf     elf.Machine
	triplet string // of multiarch folders and of cross tools
	loader  string // that all programs name
	machine string // MACHTYPE of bash, MAKE_HOST of make
}

var systems = map[string]*system{
	"x86_64": {
		elf:     elf.EM_X86_64,
		triplet: "x86_64-linux-gnu",
		loader:  "/lib64/ld-linux-x86-64.so.2",
		machine: "x86_64-pc-linux-gnu",
	},
	"aarch64": {
		elf:     elf.EM_AARCH64,
		triplet: "aarch64-linux-gnu",
		loader:  "/lib/ld-linux-aarch64.so.1",
		machine: "aarch64-unknown-linux-gnu",
	},
}

// textTools are programs of /usr/bin whose output does not depend on the
// architecture, as far as builds call them. Deliberately missing: uname, arch
// (tell it); printf, seq, numfmt (long double has another width); stdbuf
// (preloads a library); perl, python, file, pkgconf (load libraries or print
// paths of the architecture).
var textTools = []string{
	"bash", "dash", "make", "mawk", "sed", "grep", "m4", "patch",
	"find", "xargs", "cmp", "diff", "diff3", "sdiff", "hostname",
	"tar", "cpio", "gzip", "bzip2", "bunzip2", "bzcat", "xz", "zstd",
	// coreutils
	"[", "b2sum", "base32", "base64", "basename", "cat", "chgrp", "chmod", "chown", "cksum", "comm",
	"cp", "csplit", "cut", "date", "dd", "df", "dir", "dirname", "du", "echo", "env", "expand", "expr",
	"false", "fmt", "fold", "head", "id", "install", "join", "link", "ln", "logname", "ls", "md5sum",
	"mkdir", "mkfifo", "mktemp", "mv", "nice", "nl", "nohup", "nproc", "od", "paste", "pathchk", "pr",
	"printenv", "pwd", "readlink", "realpath", "rm", "rmdir", "sha1sum", "sha224sum", "sha256sum",
	"sha384sum", "sha512sum", "shuf", "sleep", "sort", "split", "stat", "stty", "sum", "sync", "tac", "tail",
	"tee", "test", "timeout", "touch", "tr", "true", "truncate", "tsort", "tty", "unexpand", "uniq",
	"unlink", "wc", "who", "whoami", "yes",
}

// binutils are called <triplet>-<tool>; ld.bfd gets a launcher.
var binutils = []string{
	"addr2line", "ar", "as", "c++filt", "elfedit", "ld.bfd", "ld.gold", "nm", "objcopy", "objdump",
	"ranlib", "readelf", "size", "strings", "strip",
}

// The programs of GCC. gcc-ar, gcov and the like stay emulated, being rare.
var (
	drivers   = []string{"cpp", "gcc", "g++", "gfortran"} // in /usr/bin: <triplet>-<driver>-<version>
	passes    = []string{"cc1", "cc1plus", "f951"}        // in /usr/lib/gcc/<triplet>/<version>
	linkParts = []string{"collect2", "liblto_plugin.so", "lto-wrapper", "lto1"}
)

// versionName is a folder of GCC; it goes into scripts.
var versionName = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)
