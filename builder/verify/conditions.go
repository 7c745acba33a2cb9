package verify

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// Condition is one thing that differed between the two builds, or that did not.
type Condition struct {
	Name   string `json:"name"`
	First  string `json:"first"`
	Second string `json:"second"`
	Same   string `json:"same,omitempty"` // why it did not differ
}

// String is the condition as a report tells it.
func (c Condition) String() string {
	if c.Same != "" {
		return fmt.Sprintf("%s: not varied, %s", c.Name, c.Same)
	}
	return fmt.Sprintf("%s: %s, %s", c.Name, c.First, c.Second)
}

// What the second build finds where the first one has the builder's own. The zone
// is more than a day ahead, so that no date is the same as in the first build.
const (
	otherHost = "verify"
	otherUser = "verifier"
	otherUID  = 2000
	otherHome = "/build/tmp"
	otherZone = "VRF-24:37:11"
	otherEnv  = "OHPC_BUILD_VERIFY=1"
)

// others are the conditions of a job's second build. Files in memory are listed in
// the opposite order of their creation (linux: fs/libfs.c, dcache_readdir), on disk
// in that of their names' hashes.
func (v *Verifier) others(job builder.Job) (builder.Conditions, []Condition, error) {
	// How many the first build was given depends on what ran beside it; it was never
	// more than the host has.
	second := runtime.NumCPU() + 1
	c := builder.Conditions{
		HostName: otherHost, User: otherUser, UID: otherUID, Home: otherHome, Zone: otherZone, Jobs: second, Env: []string{otherEnv},
	}
	told := []Condition{
		{Name: "time", First: "the first build's", Second: "later, as it passed (the clock was not set)"},
		{Name: "time zone", First: "UTC", Second: "24:37:11 ahead of it"},
		{Name: "host name", First: "build", Second: otherHost},
		{Name: "user", First: "1000 (builder)", Second: fmt.Sprintf("%d (%s)", otherUID, otherUser)},
		{Name: "home", First: "/build", Second: otherHome},
		{Name: "environment", First: "the builder's", Second: "with " + otherEnv},
		{Name: "number of jobs", First: fmt.Sprintf("at most %d", runtime.NumCPU()), Second: strconv.Itoa(second)},
	}
	order := Condition{Name: "folder order", First: "as the state's file system has it", Second: "as a file system in memory has it"}
	reason, err := v.inMemory(job)
	if err != nil {
		return c, nil, err
	}
	if order.Same = reason; reason == "" {
		v.sweep()
		if c.Dir, err = os.MkdirTemp(v.memory, fmt.Sprintf("%s%d-", folderPrefix, os.Getpid())); err != nil {
			order.Same = err.Error()
		}
	}
	return c, append(told, order), nil
}

const folderPrefix = "ohpc-build-verify-"

// sweep removes the folders of programs that were killed: memory is not given back
// otherwise.
func (v *Verifier) sweep() {
	found, err := filepath.Glob(filepath.Join(v.memory, folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folderPrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && pid > 0 && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			os.RemoveAll(dir)
		}
	}
}

// usualDisk is what a build is held to write when its recipe does not say, in bytes.
const usualDisk = 4 << 30

// inMemory says why a build's files cannot be in memory, or nothing when they can.
func (v *Verifier) inMemory(job builder.Job) (reason string, err error) {
	var here, there unix.Statfs_t
	if err := unix.Statfs(v.store.Dir(), &here); err != nil {
		return "", fmt.Errorf("asking for the file system of %s: %w", v.store.Dir(), err)
	}
	if err := unix.Statfs(v.memory, &there); err != nil || there.Type != unix.TMPFS_MAGIC {
		return v.memory + " is no file system in memory", nil
	}
	switch {
	case here.Type == unix.TMPFS_MAGIC:
		return "the state is on a file system in memory itself", nil
	case there.Flags&unix.ST_NOEXEC != 0:
		return v.memory + " does not let programs be run", nil
	}
	available, err := availableMemory()
	if err != nil {
		return "the host does not say how much memory it has left: " + err.Error(), nil
	}
	want := uint64(cmp.Or(job.Limits.Disk, usualDisk))
	if room := min(available/2, there.Bavail*uint64(there.Bsize)); want > room {
		return fmt.Sprintf("the build may write %s and %s of memory can be used for that", sandbox.Bytes(int64(want)), sandbox.Bytes(int64(room))), nil
	}
	return "", nil
}

// availableMemory is what can be had without swapping, in bytes (proc(5)).
func availableMemory() (uint64, error) {
	doc, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(doc) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == "MemAvailable:" {
			kib, err := strconv.ParseUint(string(fields[1]), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no MemAvailable in /proc/meminfo")
}
