package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/rootless"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
)

// Error says that the host lacks something that a run needs. Each problem is one
// sentence and says what mends it.
type Error struct{ Problems []error }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return "this host is not ready (ohpc-build doctor checks again):\n  " + strings.Join(lines, "\n  ")
}

func (e *Error) Unwrap() []error { return e.Problems }

// minimumFree is how much room a run wants on the state's file system, in bytes:
// an image and its unpacked layers, sources, build roots and a build for each of
// two architectures.
const minimumFree = 6 << 30

// overflowUser is who owns files of users without a number in a user namespace
// (linux: /proc/sys/kernel/overflowuid).
const overflowUser = 65534

// Check says what the host lacks for a run in these cells with this state folder and
// OCI runtime, all of it at once. The error is an *Error.
func Check(ctx context.Context, state, runtime string, cells []*jobs.Cell) error {
	var problems []error
	add := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	add(rootless.Check()) // a process that could become root of a namespace has
	if err := checkOwner(state); err != nil {
		add(err)
	} else if os.Geteuid() == 0 {
		add(checkFileSystem(state))
	}
	if _, err := sandbox.New(runtime, filepath.Join(state, "run")); err != nil {
		add(err)
	}
	add(checkSpace(state, minimumFree))
	asked := map[string]bool{}
	for _, c := range cells {
		if !asked[c.Arch] {
			asked[c.Arch] = true
			add(emulate.Preflight(ctx, c.Arch))
		}
		if c.Target.Image.Bootstrap != nil {
			if _, err := exec.LookPath("mmdebstrap"); err != nil && !asked["mmdebstrap"] {
				asked["mmdebstrap"] = true
				add(fmt.Errorf("mmdebstrap is not installed, which makes the image of %s; run: sudo sh ci/setup-host.sh, or install the package mmdebstrap", c.Target.Name))
			}
		}
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

// Gaps lists the limits of recipes that the kernel does not hold for a build as a
// whole on this host, and at last what would mend it; nothing when it holds all. The
// error is an *Error.
func Gaps(state, runtime string) ([]string, error) {
	r, err := sandbox.New(runtime, filepath.Join(state, "run"))
	if err != nil {
		return nil, &Error{Problems: []error{err}}
	}
	gaps := r.Gaps()
	if len(gaps) > 0 {
		gaps = append(gaps, groupsRemedy(rootless.Inside(), unified()))
	}
	return gaps, nil
}

// groupsRemedy says how to get control groups: for a user of a namespace or root,
// on a host with version 2 only or not.
func groupsRemedy(mapped, unified bool) string {
	switch {
	case mapped && unified:
		return "to have control groups, run: systemd-run --user --scope --property=Delegate=yes ohpc-build …"
	case mapped:
		return "to have control groups, run ohpc-build as root: those of version 1 are not for ordinary users"
	}
	return "to have control groups, make /sys/fs/cgroup writable; in a container: start it privileged"
}

// unified says whether control groups are those of version 2 only.
func unified() bool {
	var fs unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// checkOwner refuses a state folder of another user's: what root leaves in a
// user's is not the user's to remove, and what a user may write root must not
// build from.
func checkOwner(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("the state folder %s: %w", dir, err)
	}
	if me := os.Geteuid(); int(st.Uid) != me {
		return fmt.Errorf("the state folder %s belongs to another user (%s): every user has a state folder of their own; name one with --state", dir, ownerName(st.Uid))
	}
	return nil
}

// checkFileSystem refuses a state folder where root file systems cannot lie. Network
// file systems know nothing of a user's subordinate ids, or of attributes, and homes
// of clusters are often on one.
func checkFileSystem(dir string) error {
	tmp, err := os.MkdirTemp(dir, "trial-")
	if err != nil {
		return fmt.Errorf("the state folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	attribute := "trusted.overlay.opaque"
	if rootless.Inside() {
		attribute = "user.overlay.opaque"
	}
	for _, needed := range []struct {
		what string
		try  func() error
	}{
		{"files of several users", func() error { return unix.Lchown(tmp, 1000, 1000) }},
		{"extended attributes", func() error { return unix.Lsetxattr(tmp, attribute, []byte("y"), 0) }},
		{"marks of deleted files", func() error { return unix.Mknod(filepath.Join(tmp, "whiteout"), unix.S_IFCHR, 0) }},
	} {
		if err := needed.try(); err != nil {
			return fmt.Errorf("the file system of the state folder %s cannot hold %s (%w), as root file systems need them; name a folder on a local disk with --state", dir, needed.what, err)
		}
	}
	return nil
}

// ownerName names a user. Whoever has no number in this user namespace is called
// by the number that stands for all of them (linux: user_namespaces(7)).
func ownerName(uid uint32) string {
	if rootless.Inside() && uid == overflowUser {
		return "of no number in this user namespace"
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("number %d", uid)
}

func checkSpace(dir string, want uint64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("the state folder %s: %w", dir, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free < want {
		return fmt.Errorf("the file system of %s has %.1f GiB free, a run wants %.1f; free some (ohpc-build cache list --state %s shows what it holds, cache gc removes what is not needed), or name another folder with --state",
			dir, float64(free)/(1<<30), float64(want)/(1<<30), dir)
	}
	return nil
}
