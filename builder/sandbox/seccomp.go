package sandbox

import (
	"fmt"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// harmless are the bits of personality(2) that a build may set: nothing reads a
// page at address zero or gets to execute data because of them. Besides those of
// the default profile there is ADDR_NO_RANDOMIZE, under which `setarch -R` runs
// programs whose output depends on addresses (linux: personality.h).
const harmless = 0x0008 | 0x0020000 | 0x0040000 // PER_LINUX32, UNAME26, ADDR_NO_RANDOMIZE

// systemCallFilter lists the calls that may be made: the profile that Docker,
// Podman and containerd run everything under, so that what works in a container
// anywhere works here. Calls that need a capability are on the list only when the
// process may have it; mount, bpf, keyctl, io_uring, new name spaces and the like
// are on it for nobody.
//
// An emulator makes calls of the host's architecture, so that the profile's is
// the host's whatever is built.
func systemCallFilter(config *specs.Spec) (*specs.LinuxSeccomp, error) {
	filter, err := seccomp.GetDefaultProfile(config)
	if err != nil {
		return nil, fmt.Errorf("making the system call filter: %w", err)
	}
	filter.Syscalls = append(filter.Syscalls, specs.LinuxSyscall{
		Names:  []string{"personality"},
		Action: specs.ActAllow,
		// None of the other bits is set.
		Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0xffffffff &^ harmless, ValueTwo: 0, Op: specs.OpMaskedEqual}},
	})
	return filter, nil
}
