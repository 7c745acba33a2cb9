package debian

import (
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
)

const (
	// mergeUsr makes /bin and its like links into /usr before anything is there.
	// The package usrmerge would copy everything from one to the other later.
	mergeUsr = `for dir in bin sbin lib; do mkdir -p "$1/usr/$dir" && ln -s "usr/$dir" "$1/$dir"; done`

	// native is where a foreign root holds programs of this host's architecture
	// while it is made.
	native = ".native"

	// bringNative copies what unpacks packages, with its loader and libraries, into
	// a foreign root. Decompressing and extracting some hundred packages is a
	// quarter of an emulated bootstrap, and gives the same whoever does it. Where
	// it does not work, the root's own programs are found, which take longer.
	bringNative = `(
	set -eu
	n=$1/.native
	mkdir -p "$n/bin" "$n/lib" "$n/real"
	for program in dpkg-deb dpkg-split tar rm; do
		path=$(command -v $program)
		cp -L "$path" "$n/real/$program"
		ldd "$path" | awk '$2 == "=>" { print $3 } $1 ~ "^/" { print $1 }' | while read -r lib; do
			cp -Ln "$lib" "$n/lib/"
		done
		loader=$(ldd "$path" | awk '$1 ~ "^/" { print $1 }')
		printf '#!/bin/sh\nexec /.native/lib/%s --library-path /.native/lib --argv0 %s /.native/real/%s "$@"\n' \
			"${loader##*/}" $program $program >"$n/bin/$program"
		chmod 755 "$n/bin/$program"
		chroot "$1" /.native/bin/$program --version >/dev/null
	done
) || { echo "W: unpacking is emulated" >&2; rm -rf "$1/.native"; }`

	removeNative = `rm -rf "$1/.native"`

	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// hooks are mmdebstrap's options for a root of an architecture.
func hooks(arch string) []string {
	dirs := mergeUsr
	if arch == "x86_64" {
		dirs = strings.Replace(dirs, " lib;", " lib lib64;", 1)
	}
	options := []string{"--setup-hook=" + dirs}
	if emulate.Native(arch) {
		return options
	}
	return append(
		options,
		"--extract-hook="+bringNative,
		"--customize-hook="+removeNative,
		// apt sets the path of dpkg by itself, whatever its own is.
		`--aptopt=DPkg::Path "/`+native+"/bin:"+defaultPath+`"`,
	)
}
