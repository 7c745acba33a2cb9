package rootless

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// sysctls are the kernel's switches.
const sysctls = "/proc/sys"

// Problem says why an ordinary user cannot become root of a user namespace here,
// and what mends it.
type Problem struct {
	Reason string // one sentence
	Remedy string // what to do: one command, mostly the administrator's
}

func (p *Problem) Error() string {
	return fmt.Sprintf("an ordinary user cannot run containers here: %s; %s (or run ohpc-build as root)", p.Reason, p.Remedy)
}

// missing says that a program is not on the host.
func missing(program string) *Problem {
	of := "util-linux"
	switch program {
	case "newuidmap", "newgidmap":
		of = "uidmap, in other distributions shadow-utils or shadow"
	case "cat":
		of = "coreutils"
	}
	return &Problem{program + " is not installed (package " + of + ")", "run: sudo sh ci/setup-host.sh"}
}

// tooFew says that a user has no or too few subordinate ids.
func tooFew(name string, have, next int) *Problem {
	reason := name + " has no subordinate ids in " + subuidFile + " and " + subgidFile + ", which stand for the users of a root file system"
	if have > 0 {
		reason = fmt.Sprintf("%s has %d subordinate ids in %s or %s, and the users of a root file system need %d", name, have, subuidFile, subgidFile, most)
	}
	ids := fmt.Sprintf("%d-%d", next, next+most-1)
	return &Problem{reason, fmt.Sprintf("run: sudo usermod --add-subuids %s --add-subgids %s %s", ids, ids, name)}
}

// unmapped says that newuidmap or newgidmap did not map.
func unmapped(program, said string) *Problem {
	return &Problem{
		fmt.Sprintf("%s did not map the subordinate ids: %s", program, said),
		"run: sudo chmod u+s $(command -v newuidmap newgidmap); it does not help where new privileges are forbidden, as on a file system mounted nosuid",
	}
}

// refused says why the kernel makes no user namespace.
func refused(err error) error {
	if p := forbidden(sysctls); p != nil {
		return p
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EUSERS):
		return &Problem{"the limit of user namespaces is reached", "run: sudo sysctl user.max_user_namespaces=63000"}
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return &Problem{
			"user namespaces are forbidden (" + err.Error() + "), as in a container of Docker's",
			"start that container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined",
		}
	}
	return fmt.Errorf("making a user namespace: %w", err)
}

// unusable says why a user namespace, once made, is of no use.
func unusable(said string) *Problem {
	if p := forbidden(sysctls); p != nil {
		return p
	}
	said, _, _ = strings.Cut(said, "\n") // mount goes on about dmesg
	if strings.Contains(said, "/proc") {
		return &Problem{
			"parts of /proc are hidden, so that no container can have its own (" + said + ")",
			"start the container that hides them with --security-opt systempaths=unconfined",
		}
	}
	return &Problem{"a user namespace cannot mount (" + said + ")", "run: sudo dmesg | tail, where the kernel says what forbids it"}
}

// forbidden looks at the switches with which an administrator forbids user
// namespaces; nil when none does.
func forbidden(dir string) *Problem {
	for _, s := range []struct {
		name, off, reason, on string
	}{
		// Debian's kernel; Ubuntu's AppArmor (23.10 and later); every kernel.
		{"kernel/unprivileged_userns_clone", "0", "the kernel allows user namespaces only to root", "1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor takes all rights from programs in user namespaces", "0"},
		{"user/max_user_namespaces", "0", "the kernel allows no user namespaces", "63000"},
	} {
		value, err := os.ReadFile(dir + "/" + s.name)
		if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(value)) != s.off {
			continue
		}
		setting := strings.ReplaceAll(s.name, "/", ".")
		return &Problem{
			fmt.Sprintf("%s (%s=%s)", s.reason, setting, s.off),
			"run: sudo sysctl " + setting + "=" + s.on + ", and keep it: echo " + strconv.Quote(setting+"="+s.on) + " | sudo tee /etc/sysctl.d/60-ohpc-build.conf",
		}
	}
	return nil
}
