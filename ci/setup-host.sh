#!/bin/sh
# Brings the host to where ohpc-build can run: installs the programs that are
# missing, and lets the kernel run programs of the other architecture.
#
# Looks first and changes only what is missing, so that a second run does nothing
# and needs neither root nor network. Exit status: 0 all is there, 1 something
# could not be done, 3 root must run it.
set -eu

# Nothing may wait for ever, neither for a server nor for another apt.
net_timeout=30
install_timeout=1200

say() { printf 'setup-host: %s\n' "$*" >&2; }
fail() {
	say "$1"
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

machine=$(uname -m)
case $machine in
x86_64 | amd64) native=x86_64 foreign=aarch64 ;;
aarch64 | arm64) native=aarch64 foreign=x86_64 ;;
*) fail "ohpc-build runs on x86_64 and aarch64 hosts; this one is $machine" ;;
esac
binfmt=/proc/sys/fs/binfmt_misc
entry=$binfmt/qemu-$foreign

# Ordinary users have no sbin in their path; what is there need not be found there.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

have_any() {
	for file; do [ -e "$file" ] && return 0; done
	return 1
}

# Every line: is it there, and what is it called by apt, dnf and zypper ("-": comes
# with the system or is unknown there).
need() {
	"$1" "$2" || missing="$missing $(eval "printf %s \"\$$manager\"")"
}
have_keyring() { have_any /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; }
have_chromium() { have chromium || have chromium-browser || have google-chrome; }
have_qemu() { have "qemu-$1-static" || have "qemu-$1" || have_any "/usr/libexec/qemu-binfmt/$1-binfmt-P"; }

look() {
	missing=
	# The program itself: containers, the Debian image, subordinate ids, the other architecture.
	apt=runc dnf=runc zypper=runc need have runc
	apt=mmdebstrap dnf=mmdebstrap zypper=mmdebstrap need have mmdebstrap
	apt=apt dnf=apt zypper=apt need have apt-get
	apt=dpkg dnf=dpkg zypper=dpkg need have dpkg-deb
	apt=debian-archive-keyring dnf=debian-keyring zypper=debian-archive-keyring need have_keyring -
	apt=gpg dnf=gnupg2 zypper=gpg2 need have gpg
	apt=mount dnf=util-linux zypper=util-linux need have mount
	apt=util-linux dnf=util-linux zypper=util-linux need have unshare
	apt=uidmap dnf=shadow-utils zypper=shadow need have newuidmap
	apt=qemu-user-static dnf=qemu-user-static zypper=qemu-linux-user need have_qemu "$foreign"
	apt=arch-test dnf=- zypper=- need have arch-test
	apt=ca-certificates dnf=ca-certificates zypper=ca-certificates need have_any /etc/ssl/certs
	# What the tests compare with and run.
	apt=rpm dnf=rpm-build zypper=rpm-build need have rpmbuild
	apt=createrepo-c dnf=createrepo_c zypper=createrepo_c need have createrepo_c
	apt=dnf dnf=dnf zypper=dnf need have dnf
	apt=zypper dnf=zypper zypper=zypper need have zypper
	apt=busybox-static dnf=busybox zypper=busybox-static need have busybox
	apt=chromium dnf=chromium zypper=chromium need have_chromium -
	# What the two make targets need before the program exists.
	apt=git dnf=git-core zypper=git-core need have git
	apt=make dnf=make zypper=make need have make
	apt=gcc dnf=gcc zypper=gcc need have gcc

	packages=
	for package in $missing; do
		[ "$package" = - ] || packages="$packages $package"
	done
	packages=${packages# }
}

# registered says whether the kernel runs foreign programs everywhere: only with
# the flag F it keeps the interpreter open, and so finds it in containers too.
registered() {
	[ -r "$entry" ] || return 1
	read -r state <"$entry"
	[ "$state" = enabled ] && grep -q '^flags: .*F' "$entry"
}

# The distribution decides, not the programs found: an RPM system may have apt-get
# too, for mmdebstrap.
distribution=$(. /etc/os-release 2>/dev/null && echo " ${ID-} ${ID_LIKE-} ")
case $distribution in
*" debian "* | *" ubuntu "*) manager=apt ;;
*suse*) manager=zypper ;;
*" fedora "* | *" rhel "*) manager=dnf ;;
*) fail "this distribution is none that setup-host knows (Debian, Ubuntu, Fedora, EL, openSUSE); it calls itself:$distribution" ;;
esac

look
if [ -z "$packages" ] && registered; then
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	[ -z "$packages" ] || say "to be installed: $packages"
	registered || say "to be registered with the kernel: programs of $foreign"
	say "run this once: sudo sh $0"
	exit 3
fi

# bounded runs a package manager that must not ask and must not hang.
bounded() {
	timeout --kill-after=10 "$install_timeout" "$@" </dev/null >&2
}

install_apt() {
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	# Options on the command line hold for this call only; the host's own
	# configuration, sources and proxies stay as they are.
	apt_run() {
		bounded apt-get -qq -o "Acquire::http::Timeout=$net_timeout" -o "Acquire::https::Timeout=$net_timeout" \
			-o Acquire::Retries=2 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
	}
	apt_run update || say "apt-get update failed; trying with the lists at hand"
	# shellcheck disable=SC2086 # a list of package names
	apt_run install --yes --no-install-recommends $packages
}

install_dnf() {
	# shellcheck disable=SC2086 # a list of package names
	bounded dnf --assumeyes --setopt=install_weak_deps=False --setopt=timeout=$net_timeout install $packages
}

install_zypper() {
	# shellcheck disable=SC2086 # a list of package names
	ZYPP_CONNECT_TIMEOUT=$net_timeout bounded zypper --non-interactive install --no-recommends $packages
}

if [ -n "$packages" ]; then
	say "installing $packages"
	"install_$manager" || fail "$manager could not install: $packages"
	look
	[ -z "$packages" ] || fail "still missing after the installation: $packages"
fi

# register_entry writes what the qemu package ships for systemd-binfmt (which
# need not run here), with the flag F added where a distribution leaves it out.
# The kernel itself reads the \x escapes, so that they go through unchanged.
register_entry() {
	for conf in "/usr/lib/binfmt.d/qemu-$foreign.conf" "/usr/lib/binfmt.d/qemu-$foreign-static.conf" \
		"/lib/binfmt.d/qemu-$foreign.conf" "/etc/binfmt.d/qemu-$foreign.conf"; do
		[ -r "$conf" ] && line=$(grep -m 1 '^:' "$conf") && break
		line=
	done
	[ -n "$line" ] || fail "qemu's package has no /usr/lib/binfmt.d/qemu-$foreign.conf; register $foreign by hand"
	flags=${line##*:}
	case $flags in *F*) ;; *) line=${line}F ;; esac
	# systemd names the entry after the file's second field; ohpc-build looks for this one.
	rest=${line#:*:}
	printf '%s' ":qemu-$foreign:$rest" >"$binfmt/register"
}

if ! registered; then
	if [ ! -e "$binfmt/register" ]; then
		say "mounting $binfmt"
		have modprobe && modprobe -q binfmt_misc || :
		mount -t binfmt_misc binfmt_misc "$binfmt" ||
			fail "cannot mount binfmt_misc at $binfmt; in a container, run this script on its host first (or start the container privileged)"
	fi
	# An entry without F, or one that is switched off, is replaced.
	[ ! -e "$entry" ] || registered || echo -1 >"$entry"
	if ! registered; then
		say "registering programs of $foreign, to be run by qemu on this $native host"
		register_entry || fail "the kernel refused the registration of $foreign"
	fi
	registered || fail "$entry is not as it should be after the registration"
fi
