#!/bin/sh
# Makes the repository in this folder known to the package manager, or forgets it.
set -eu

usage() {
	cat <<'END'
usage: make_repo.sh [--root DIR] [--remove]

Makes the repository in this script's folder known to zypper where there is one,
else to dnf and yum, and imports the public key that it is signed with. The folder
must stay where it is.

  --root DIR   for the system in DIR instead of the running one
  --remove     forget the repository again; the key stays imported
END
}

fail() {
	echo "make_repo.sh: $1" >&2
	exit 1
}

root=
remove=
while [ $# -gt 0 ]; do
	case $1 in
	--root)
		[ $# -gt 1 ] || fail "--root wants a folder"
		[ -d "$2" ] || fail "$2 is no folder"
		root=$(cd "$2" && pwd -P)
		shift
		;;
	--remove) remove=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
[ "$root" != / ] || root=

here=$(cd "$(dirname "$0")" && pwd -P)
case $here in
*[!A-Za-z0-9/._+@=-]*) fail "the folder's name $here has characters that a repository's address cannot hold; move it" ;;
esac

if [ -d "$root/etc/zypp/repos.d" ]; then
	folder=$root/etc/zypp/repos.d
else
	folder=$root/etc/yum.repos.d
fi
file=$folder/OpenHPC.local.repo

if [ "$remove" ]; then
	rm -f "$file"
	echo "$file is gone"
	exit 0
fi

mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || fail "$folder cannot be written; run this as root"
# Beside its place first, so that a package manager never reads half of it.
sed "s#@DIRECTORY@#$here#g" "$here/OpenHPC.local.repo" >"$file.new"
mv -f "$file.new" "$file"
for key in "$here"/RPM-GPG-KEY-*; do
	rpm ${root:+--root "$root"} --import "$key"
done
echo "$file names the repository in $here"
