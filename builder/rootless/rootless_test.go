package rootless

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMapping(t *testing.T) {
	const list = "# a comment\nalice:100000:65536\nbob:165536:65536\n1001:300000:40000\ncarol:340000:40000\ncarol:400000:100000\nhalf:1\nbad:x:1\nbad:1:x\nempty:1:0\n"
	for _, test := range []struct {
		name, id string
		want     []idRange
		size     int
	}{
		{"alice", "1000", []idRange{{0, 1000, 1}, {1, 100000, 65535}}, most},
		{"dave", "1001", []idRange{{0, 1000, 1}, {1, 300000, 40000}}, 40001},
		{"carol", "1002", []idRange{{0, 1000, 1}, {1, 340000, 40000}, {40001, 400000, 25535}}, most},
		{"bad", "1003", []idRange{{0, 1000, 1}}, 1},
		{"half", "1003", []idRange{{0, 1000, 1}}, 1},
		{"empty", "1003", []idRange{{0, 1000, 1}}, 1},
		{"nobody", "65534", []idRange{{0, 1000, 1}}, 1},
	} {
		got := mapping(1000, subordinate(list, test.name, test.id))
		require.Equal(t, test.want, got, test.name)
		require.Equal(t, test.size, size(got), test.name)
	}
	require.Equal(t, []span{{100000, 65536}, {300000, 10}}, listed("0: alice 100000 65536\n1: alice 300000 10\n2: bob 1 1\nnonsense\n", "alice"))
	require.Equal(t, 500000, free(list))
	require.Equal(t, 100000, free(""))
}

func FuzzSubordinate(f *testing.F) {
	f.Add("alice:100000:65536\n")
	f.Add("alice:4294967295:4294967295\nalice:1:18446744073709551615\n")
	f.Fuzz(func(t *testing.T, text string) {
		ids := mapping(1000, subordinate(text, "alice", "1000"))
		next := 0
		for _, r := range ids {
			if r.inside != next || r.count <= 0 || r.outside < 0 {
				t.Fatalf("%v is no mapping", ids)
			}
			next += r.count
		}
		if next > most {
			t.Fatalf("%d ids are mapped", next)
		}
	})
}

func TestWholeMap(t *testing.T) {
	require.True(t, wholeMap("         0          0 4294967295\n"))
	require.False(t, wholeMap("         0       1000          1\n         1     100000      65536\n"))
	require.False(t, wholeMap("         0     100000      65536\n"))
	require.False(t, wholeMap(""))
}

func TestForbidden(t *testing.T) {
	for _, test := range []struct{ file, value, reason, remedy string }{
		{"kernel/unprivileged_userns_clone", "0\n", "only to root", "sudo sysctl kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1\n", "AppArmor", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"user/max_user_namespaces", "0\n", "no user namespaces", "sudo sysctl user.max_user_namespaces=63000"},
		{"user/max_user_namespaces", "96365\n", "", ""},
		{"kernel/apparmor_restrict_unprivileged_userns", "0\n", "", ""},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, test.file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(test.value), 0o644))
		got := forbidden(dir)
		if test.reason == "" {
			require.Nil(t, got)
			continue
		}
		require.Contains(t, got.Reason, test.reason)
		require.Contains(t, got.Remedy, test.remedy)
	}
	require.Nil(t, forbidden(t.TempDir()))
}

func TestProblemsSayWhatMendsThem(t *testing.T) {
	for want, err := range map[string]error{
		"alice has no subordinate ids in /etc/subuid and /etc/subgid, which stand for the users of a root file system; run: sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice": tooFew("alice", 0, 165536),
		"alice has 1000 subordinate ids":                                          tooFew("alice", 1000, 165536),
		"newuidmap is not installed (package uidmap":                              missing("newuidmap"),
		"nsenter is not installed (package util-linux); run: sudo sh ci/setup":    missing("nsenter"),
		"newgidmap did not map the subordinate ids: write to gid_map failed; run": unmapped("newgidmap", "write to gid_map failed"),
		"the limit of user namespaces is reached; run: sudo sysctl user.max":      refused(syscall.ENOSPC),
		"user namespaces are forbidden (operation not permitted)":                 refused(syscall.EPERM),
		"parts of /proc are hidden":                                               unusable("mount: /proc: permission denied.\n dmesg(1) may have more"),
		"cannot mount (mount: /tmp: permission denied.); run: sudo dmesg":         unusable("mount: /tmp: permission denied.\n dmesg(1) may have more"),
	} {
		var problem *Problem
		require.ErrorAs(t, err, &problem)
		require.ErrorContains(t, err, want)
	}
	require.ErrorIs(t, refused(syscall.ENOMEM), syscall.ENOMEM)
}
