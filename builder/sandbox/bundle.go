package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// maxFiles bounds open files per process. Old programs close all that could
	// be open before they start another, so that a huge limit makes them slow.
	maxFiles = 4096

	cpuPeriod = 100_000 // microseconds

	// dieFirst makes the kernel end a container's processes before all others
	// when the host itself runs out of memory (oom_score_adj, at most 1000).
	dieFirst = 900
)

// packageManager lists what rpm, dnf and zypper need. CAP_SYS_ADMIN is not in it.
var packageManager = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// writeConfig writes the bundle's config.json, changed to what this host can do.
func writeConfig(bundle, rootfs, cgroup string, s Spec, adapt func(*specs.Spec)) error {
	config, err := ociSpec(rootfs, cgroup, s)
	if err != nil {
		return err
	}
	adapt(config)
	doc, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), doc, 0o600); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

func ociSpec(rootfs, cgroup string, s Spec) (*specs.Spec, error) {
	mounts, err := ociMounts(s)
	if err != nil {
		return nil, err
	}
	env := slices.Clone(s.Env)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append(env, defaultPath)
	}
	cwd := s.Cwd
	if cwd == "" {
		cwd = "/"
	}
	namespaces := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.MountNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.CgroupNamespace},
	}
	if !s.Network {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	hostName := s.HostName
	if hostName == "" {
		hostName = "sandbox"
	}
	first := dieFirst
	var capabilities specs.LinuxCapabilities
	if s.Privileges == PackageManager {
		capabilities = specs.LinuxCapabilities{Bounding: packageManager, Effective: packageManager, Permitted: packageManager}
	}
	config := &specs.Spec{
		Version:  specs.Version,
		Hostname: hostName,
		Root:     &specs.Root{Path: rootfs, Readonly: s.ReadOnlyRoot},
		Mounts:   mounts,
		Process: &specs.Process{
			Terminal:        s.Terminal,
			Args:            s.Args,
			Env:             env,
			Cwd:             cwd,
			User:            specs.User{UID: s.UID, GID: s.GID},
			Capabilities:    &capabilities,
			NoNewPrivileges: true,
			OOMScoreAdj:     &first,
			Rlimits:         s.rlimits,
		},
		Linux: &specs.Linux{
			Namespaces:  namespaces,
			CgroupsPath: cgroup,
			Resources:   ociResources(s.Limits),
			// What other OCI containers are not shown of the kernel by default, and
			// what tells of the host's disks and modules.
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap",
				"/sys/firmware", "/sys/fs", "/sys/kernel", "/sys/module",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	config.Linux.Seccomp, err = systemCallFilter(config)
	return config, err
}

func ociMounts(s Spec) ([]specs.Mount, error) {
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=64k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=256m"}},
	}
	if s.Network {
		for _, file := range []string{"/etc/resolv.conf", "/etc/hosts"} {
			if _, err := os.Stat(file); err == nil {
				mounts = append(mounts, bind(Mount{Source: file, Destination: file, ReadOnly: true}))
			}
		}
	}
	for _, m := range s.Mounts {
		if !filepath.IsAbs(m.Source) || !filepath.IsAbs(m.Destination) || filepath.Clean(m.Destination) == "/" {
			return nil, fmt.Errorf("mounting %q at %q: both must be absolute paths below the root", m.Source, m.Destination)
		}
		mounts = append(mounts, bind(m))
	}
	return mounts, nil
}

func bind(m Mount) specs.Mount {
	access := "rw"
	if m.ReadOnly {
		access = "ro"
	}
	return specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Source, Options: []string{"rbind", "rprivate", "nosuid", "nodev", access}}
}

func ociResources(l Limits) *specs.LinuxResources {
	r := &specs.LinuxResources{
		// The runtime itself allows null, zero, full, tty, random, urandom and ptys.
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
	}
	if l.Memory > 0 {
		r.Memory = &specs.LinuxMemory{Limit: &l.Memory}
		if swapCounted() {
			r.Memory.Swap = &l.Memory
		}
	}
	if l.Pids > 0 {
		r.Pids = &specs.LinuxPids{Limit: &l.Pids}
	}
	if l.CPUs > 0 {
		quota, period := int64(l.CPUs*cpuPeriod), uint64(cpuPeriod)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	return r
}
