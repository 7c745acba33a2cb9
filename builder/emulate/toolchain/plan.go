package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// format grows when the same roots give another plan.
const format = "1"

// Plan says how a build in a foreign root runs native programs.
type Plan struct {
	Mounts []sandbox.Mount // files, read-only
	Env    []string        // what native programs would otherwise tell of themselves

	// Install is the part with which rpm installs packages into the root. What they
	// run, and may replace, stays the image's.
	Install []sandbox.Mount

	// Digest belongs into the key of every job that is built with the plan: the
	// compiler's version in .comment may be another one.
	Digest string

	Compilers []Compiler // that run natively
	Emulated  []Emulated // what the package would have made native, and why not
}

// Compiler is one version of GCC.
type Compiler struct {
	Native, Own string // as --version prints them: 12.2.0 (Debian 12.2.0-14)

	// OwnOptions are patterns of the options with which the two write different
	// code. The image's own compiler keeps what is compiled with them.
	OwnOptions []string
}

// Emulated is something that runs emulated though it need not.
type Emulated struct{ What, Reason string }

// UnavailableError says why there is no plan for a pair of roots.
type UnavailableError struct{ Reason string }

func (e *UnavailableError) Error() string {
	return "no native tool chain: " + e.Reason
}

// New computes the plan for builds in image with the programs of native, whose
// architecture is the host's. Layers that a build has on top of the image are
// hidden where the plan mounts something. It writes launchers to dir, which must
// be empty and last as long as containers use the plan. Tools that are missing
// or do not fit stay emulated; the plan says which. The error is an
// *UnavailableError when the roots do not fit at all.
func New(native, image Root, dir string) (*Plan, error) {
	dir, err := filepath.Abs(dir) // mounts need it
	if err != nil {
		return nil, err
	}
	p := &planner{native: native, image: image, dir: dir, mounts: map[string]string{}, loaded: map[string]program{}}
	var ok bool
	if p.host, ok = systems[native.Arch]; !ok {
		return nil, &UnavailableError{Reason: "architecture " + native.Arch + " of the host is not known"}
	}
	if p.target, ok = systems[image.Arch]; !ok {
		return nil, &UnavailableError{Reason: "architecture " + image.Arch + " of the image is not known"}
	}
	if p.host == p.target {
		return nil, &UnavailableError{Reason: "the image is native (" + image.Arch + ")"}
	}
	if err := p.base(); err != nil {
		return nil, err
	}
	if err := p.textTools(); err != nil {
		return nil, err
	}
	if err := p.toolChain(); err != nil {
		return nil, err
	}
	if err := p.rpm(); err != nil {
		return nil, err
	}
	return p.finish()
}

func (p *planner) finish() (*Plan, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s", format, p.native.Digest, p.image.Digest, p.written.Bytes())
	p.plan.Mounts = p.list()
	for _, m := range p.plan.Mounts {
		fmt.Fprintf(h, "%s\n", m.Destination)
	}
	p.plan.Env = []string{"HOSTTYPE=" + p.image.Arch, "MACHTYPE=" + p.target.machine, "MAKE_HOST=" + p.target.machine}
	p.plan.Digest = hex.EncodeToString(h.Sum(nil))
	return &p.plan, nil
}
