package toolchain

import "fmt"

// difference is what distinguishes the code of two builds of one GCC.
type difference struct {
	native, own, target string
	options             []string // with which they write different code, as patterns of the shell
}

// differences that were read in the patches between the two and then measured.
var differences = []difference{
	{
		// CVE-2023-4039: where aarch64 keeps the canary of the stack, and which
		// stores count as probes of it. Fixed by a security update that the cross
		// compiler did not get (gcc-12, debian/patches/CVE-2023-4039.diff: what it
		// changes hangs on crtl->stack_protect_guard or flag_stack_clash_protection;
		// the two other parts mend __builtin_apply and a crash of the compiler).
		native:  "12.2.0 (Debian 12.2.0-14)",
		own:     "12.2.0 (Debian 12.2.0-14+deb12u1)",
		target:  "aarch64",
		options: []string{"-fstack-protector*", "-fstack-clash-protection"},
	},
	{
		// The same update; it touches nothing but config/aarch64.
		native: "12.2.0 (Debian 12.2.0-14)",
		own:    "12.2.0 (Debian 12.2.0-14+deb12u1)",
		target: "x86_64",
	},
}

// compare decides whether a native compiler may stand in for the image's own when code
// for target is made.
func compare(native, own, target string) (*Compiler, error) {
	if native == own {
		return &Compiler{Native: native, Own: own}, nil
	}
	for _, d := range differences {
		if d.native == native && d.own == own && d.target == target {
			return &Compiler{Native: native, Own: own, OwnOptions: d.options}, nil
		}
	}
	return nil, &unfit{fmt.Sprintf("GCC is %s in the image and %s in the native root, and what they compile differently is not known", own, native)}
}
