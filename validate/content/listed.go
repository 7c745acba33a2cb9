package content

import (
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Types and rights of files, as in stat(2).
const (
	modeType    = 0o170000
	modeRegular = 0o100000
	modeDir     = 0o040000
	modeLink    = 0o120000

	setuid, setgid, sticky = 0o4000, 0o2000, 0o1000
	othersWrite            = 0o002
	anyExecute             = 0o111
)

const declare = "take it away, or declare it in the recipe's allow with a reason"

// listed looks at what the header says of a file.
func (in *inspection) listed(f rpm.File, capability string, accounts map[string]bool) error {
	at, rights := f.Path(), f.Mode&^modeType
	kind := f.Mode & modeType
	if kind == modeRegular && rights&(setuid|setgid) != 0 {
		if err := in.find(at, Setuid, declare, "it runs with the rights of %s (mode %04o, %s:%s)", whose(rights), rights, f.User, f.Group); err != nil {
			return err
		}
	}
	if capability != "" && capability != "=" {
		if err := in.find(at, Capability, declare, "it runs with the capabilities %q", capability); err != nil {
			return err
		}
	}
	if rights&othersWrite != 0 && (kind == modeRegular || kind == modeDir && rights&sticky == 0) {
		if err := in.find(at, WorldWritable, declare, "anybody may write to it (mode %04o)", rights); err != nil {
			return err
		}
	}
	switch kind {
	case modeRegular, modeDir:
	case modeLink:
		if err := in.link(at, f.LinkTo); err != nil {
			return err
		}
	default:
		if err := in.find(at, Device, declare, "it is no file, folder or link (mode %06o)", f.Mode); err != nil {
			return err
		}
	}
	for _, account := range []struct{ kind, name string }{{"user", f.User}, {"group", f.Group}} {
		if accounts[account.kind+" "+account.name] || accounts[account.name] {
			continue
		}
		mend := "give it to root with %attr or %defattr, or make the " + account.kind + " in %pre and provide " + account.kind + "(" + printable(account.name) + ")"
		if err := in.find(at, Owner, mend, "it belongs to the %s %q, which neither the system nor the package makes", account.kind, account.name); err != nil {
			return err
		}
	}
	return nil
}

func whose(rights uint16) string {
	switch rights & (setuid | setgid) {
	case setuid:
		return "its owner"
	case setgid:
		return "its group"
	}
	return "its owner and its group"
}

// link looks where a symbolic link leads.
func (in *inspection) link(at, to string) error {
	const mend = "make it relative to where it is installed"
	if where := built(to + "/"); where != "" {
		return in.find(at, Symlink, mend, "it leads to %s, where it was built", to)
	}
	if strings.HasPrefix(to, "/") || !climbs(path.Dir(at), to) {
		return nil
	}
	return in.find(at, Symlink, mend, "it leads to %s, which is above the root", to)
}

// climbs says whether a relative link in a folder goes above the root.
func climbs(dir, to string) bool {
	depth := len(strings.FieldsFunc(dir, func(r rune) bool { return r == '/' }))
	for part := range strings.SplitSeq(to, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// accountsOf are the users and groups that a package may give files to: those of
// every system (LSB 5.0, chapter 23, and what the distributions' base packages
// make), and those that it makes itself or has another package make.
func accountsOf(p *rpm.Package) map[string]bool {
	accounts := map[string]bool{"": true} // rpm 3 and packages without files
	for _, name := range []string{
		"root", "bin", "daemon", "adm", "lp", "sync", "mail", "news", "uucp", "man", "games", "nobody", "sys", "tty", "disk", "mem",
		"kmem", "wheel", "utmp", "cdrom", "dialout", "floppy", "tape", "video", "audio", "users", "shadow", "systemd-journal",
	} {
		accounts[name] = true
	}
	add := func(d rpm.Dependency) { // rpm: user(x) and group(x), of sysusers.d and of spec writers
		for _, kind := range []string{"user", "group"} {
			if name, ok := strings.CutPrefix(d.Name, kind+"("); ok {
				accounts[kind+" "+strings.TrimSuffix(name, ")")] = true
			}
		}
	}
	for d := range p.Provides() {
		add(d)
	}
	for d := range p.Requires() {
		add(d)
	}
	made := strings.FieldsFunc(p.Header().Text(tagPreInstall), func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", r)
	})
	if slices.ContainsFunc(made, func(w string) bool {
		return slices.Contains([]string{"useradd", "adduser", "groupadd", "addgroup", "systemd-sysusers"}, w)
	}) {
		for _, word := range made {
			accounts[word] = true
		}
	}
	return accounts
}

// tagPreInstall is the script that runs before a package's files are unpacked.
const tagPreInstall rpm.Tag = 1023
