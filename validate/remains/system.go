package remains

import "strings"

// system is what a package manager and the system itself keep for themselves, and what
// may stay by the distributions' rules. A path that ends in * stands for all that
// begin with it.
var system = []string{
	// rpm's database, the managers' own, their caches and logs
	"/var/lib/rpm", "/usr/lib/sysimage/rpm",
	"/var/lib/dnf", "/usr/lib/sysimage/libdnf5", "/var/cache/dnf", "/var/cache/libdnf5", "/var/log/dnf*", "/var/log/hawkey.log",
	"/var/lib/zypp", "/var/cache/zypp", "/var/log/zypp", "/var/log/zypper.log", "/var/log/YaST2", "/var/adm/mount", "/var/adm/update-messages", "/var/adm/update-scripts", "/var/adm/backup", "/run/zypp.pid", "/var/run/zypp.pid",
	// caches of what is installed, which triggers make
	"/etc/ld.so.cache", "/var/cache/ldconfig", "/var/cache/man", "/usr/share/mime", "/usr/share/info/dir",
	// Users and groups stay: their numbers must not be given to others (Fedora:
	// Packaging Guidelines, Users and Groups).
	"/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-",
	"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-", "/etc/.pwd.lock",
	// what no disk keeps
	"/dev", "/proc", "/sys",
}

// hierarchy are folders that every distribution's filesystem package owns, so that no
// other package does. A system that was not made of packages may lack them.
var hierarchy = map[string]bool{
	"/etc/opt": true, "/etc/profile.d": true, "/etc/skel": true, "/etc/sysconfig": true,
	"/etc/pki": true, "/etc/pki/rpm-gpg": true, "/etc/yum.repos.d": true, "/etc/zypp/repos.d": true,
	"/opt": true, "/srv": true, "/usr/include": true, "/usr/lib64": true, "/usr/libexec": true, "/usr/src": true, "/var/opt": true,
	"/usr/share/doc": true, "/usr/share/info": true, "/usr/share/licenses": true, "/usr/share/man": true,
	"/usr/share/man/man1": true, "/usr/share/man/man2": true, "/usr/share/man/man3": true, "/usr/share/man/man4": true,
	"/usr/share/man/man5": true, "/usr/share/man/man6": true, "/usr/share/man/man7": true, "/usr/share/man/man8": true,
}

// OfSystem says whether a path is none of the packages' business.
func OfSystem(path string) bool {
	for _, s := range system {
		prefix, all := strings.CutSuffix(s, "*")
		switch {
		case all && strings.HasPrefix(path, prefix), path == s, strings.HasPrefix(path, s+"/"):
			return true
		}
	}
	return false
}
