package toolchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// format grows when the same roots give another plan.
const format = "1"

// Plan says how a build in a foreign root runs native programs.
type Plan struct {
	Mounts []sandbox.Mount // files, read-only
	Env    []string        // what native programs would otherwise tell of themselves

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
// architecture is the host's. It writes launchers to dir, which must be empty
// and last as long as containers use the plan. Tools that are missing or do not
// fit stay emulated; the plan says which. The error is an *UnavailableError when
// the roots do not fit at all.
func New(native, image Root, dir string) (*Plan, error) {
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
	return p.finish()
}

// planner gathers a plan.
type planner struct {
	native, image Root
	host, target  *system
	dir           string
	mounts        map[string]string  // destination → source
	loaded        map[string]program // libraries by soname
	plan          Plan
	written       bytes.Buffer // the launchers, for the digest
}

// base brings the loader, and bash for the launchers.
func (p *planner) base() error {
	loader, err := p.native.find(p.host.loader)
	if errors.Is(err, fs.ErrNotExist) {
		return &UnavailableError{Reason: "the native root lacks " + p.host.loader}
	} else if err != nil {
		return err
	}
	at, err := p.image.mountPoint(p.host.loader)
	if err != nil {
		return err
	}
	p.mounts[at] = loader.source
	bash, err := p.native.program("/usr/bin/bash")
	if err == nil {
		err = p.mount(bash, folder+"/native/bash")
	}
	return unfitting(err, func(reason string) error { return &UnavailableError{Reason: reason} })
}

// textTools mounts what has nothing to do with the architecture.
func (p *planner) textTools() error {
	for _, tool := range textTools {
		at := "/usr/bin/" + tool
		if err := p.leave(at, p.replace(replacement{native: at, own: at})); err != nil {
			return err
		}
	}
	return nil
}

// toolChain mounts compilers and binutils, all or nothing: ar, nm and ld load
// the compiler's plug-in for link time optimization.
func (p *planner) toolChain() error {
	plan, mounts := p.plan, maps.Clone(p.mounts)
	err := p.binutils()
	if err == nil {
		err = p.compilers()
	}
	if errors.As(err, new(*unfit)) {
		p.plan, p.mounts = plan, mounts
	}
	return p.leave("compilers and binutils", err)
}

func (p *planner) binutils() error {
	prefix := "/usr/bin/" + p.target.triplet + "-"
	native, own, err := p.versions(prefix+"as", program.binutils)
	if err != nil {
		return err
	}
	if native != own {
		return &unfit{fmt.Sprintf("binutils are %s in the image and %s in the native root", own, native)}
	}
	for _, tool := range binutils {
		r := replacement{native: prefix + tool, own: prefix + tool}
		if tool == "ld.bfd" {
			r.script, r.launcher = "linker.sh", launcher{Name: path.Base(r.own)}
		}
		if err := p.replace(r); err != nil {
			return err
		}
	}
	return nil
}

// compilers mounts all versions of GCC that the image holds.
func (p *planner) compilers() error {
	local, err := p.image.list("/usr/local/include")
	if err != nil {
		return err
	}
	if len(local) > 0 {
		return &unfit{"/usr/local/include is not empty, and cross compilers do not look there"}
	}
	versions, err := p.image.list("/usr/lib/gcc/" + p.target.triplet)
	if err != nil {
		return err
	}
	for _, version := range versions {
		if !versionName.MatchString(version) {
			continue
		}
		_, err := p.image.program(path.Join("/usr/lib/gcc", p.target.triplet, version, "cc1"))
		if errors.As(err, new(*unfit)) {
			continue // libraries of a compiler that is not installed
		}
		if err == nil {
			err = p.compiler(version)
		}
		if err != nil {
			return err
		}
	}
	if len(p.plan.Compilers) == 0 {
		return &unfit{"the image holds no GCC in the layout of Debian"}
	}
	return nil
}

// compiler mounts one version of GCC.
func (p *planner) compiler(version string) error {
	name := func(driver string) string { return p.target.triplet + "-" + driver + "-" + version }
	native, own, err := p.versions("/usr/bin/"+name("gcc"), program.gcc)
	if err != nil {
		return err
	}
	compiler, err := compare(native, own, p.image.Arch)
	if err != nil {
		return err
	}
	p.plan.Compilers = append(p.plan.Compilers, *compiler)

	l := launcher{Triplet: p.target.triplet, Version: version, OwnOptions: compiler.OwnOptions}
	var all []replacement
	for _, driver := range drivers {
		l.Name = name(driver)
		at := "/usr/bin/" + l.Name
		all = append(all, replacement{native: at, own: at, script: "driver.sh", launcher: l})
	}
	from := path.Join("/usr/lib/gcc-cross", p.target.triplet, version)
	to := path.Join("/usr/lib/gcc", p.target.triplet, version)
	for _, pass := range passes {
		l.Name, l.Pass = pass+"-"+version, pass
		all = append(all, replacement{path.Join(from, pass), path.Join(to, pass), "pass.sh", l})
	}
	for _, part := range linkParts {
		if part == "lto1" && len(compiler.OwnOptions) > 0 {
			// What it compiles carries its options along, function by function.
			reason := &unfit{native + " compiles some options differently"}
			if err := p.leave(path.Join(to, part), reason); err != nil {
				return err
			}
			continue
		}
		all = append(all, replacement{native: path.Join(from, part), own: path.Join(to, part)})
	}
	for _, r := range all {
		if err := p.replace(r); err != nil {
			return err
		}
	}
	return nil
}

// versions asks both roots' program for its version.
func (p *planner) versions(name string, version func(program) (string, error)) (native, own string, err error) {
	f, err := p.image.program(name)
	if err != nil {
		return "", "", err
	}
	if own, err = version(f); err != nil {
		return "", "", err
	}
	if f, err = p.native.program(name); err != nil {
		return "", "", err
	}
	native, err = version(f)
	return native, own, err
}

// replacement is a program of the image and its native counterpart.
type replacement struct {
	native, own string
	script      string // a launcher in its place; "" for the program itself
	launcher    launcher
}

// replace mounts the native program. Nothing is to be done when the image has
// no such program; the error is an *unfit when the native root has none.
func (p *planner) replace(r replacement) error {
	own, err := p.image.program(r.own)
	if errors.As(err, new(*unfit)) {
		return nil
	} else if err != nil {
		return err
	}
	native, err := p.native.program(r.native)
	if err != nil {
		return err
	}
	if r.script == "" {
		return p.mount(native, own.path)
	}
	r.launcher.Folder = folder
	text, err := r.launcher.write(r.script)
	if err != nil {
		return err
	}
	source := filepath.Join(p.dir, r.launcher.Name)
	if err := os.WriteFile(source, text, 0o755); err != nil {
		return fmt.Errorf("writing a launcher: %w", err)
	}
	p.written.Write(text)
	if err := p.mount(native, path.Join(folder, "native", r.launcher.Name)); err != nil {
		return err
	}
	p.mounts[path.Join(folder, "own", r.launcher.Name)] = own.source
	p.mounts[own.path] = source
	return nil
}

// mount shows a native program at a place of the image, and its libraries.
func (p *planner) mount(f program, at string) error {
	libraries, err := p.libraries(f)
	if err != nil {
		return err
	}
	for name, source := range libraries {
		to, err := p.image.mountPoint(path.Join("/usr/lib", p.host.triplet, name))
		if err != nil {
			return err
		}
		p.mounts[to] = source
	}
	p.mounts[at] = f.source
	return nil
}

// leave notes what stays emulated when err is an *unfit.
func (p *planner) leave(what string, err error) error {
	return unfitting(err, func(reason string) error {
		p.plan.Emulated = append(p.plan.Emulated, Emulated{What: what, Reason: reason})
		return nil
	})
}

func (p *planner) finish() (*Plan, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s", format, p.native.Digest, p.image.Digest, p.written.Bytes())
	for at, source := range p.mounts {
		p.plan.Mounts = append(p.plan.Mounts, sandbox.Mount{Source: source, Destination: at, ReadOnly: true})
	}
	slices.SortFunc(p.plan.Mounts, func(x, y sandbox.Mount) int { return strings.Compare(x.Destination, y.Destination) })
	for _, m := range p.plan.Mounts {
		fmt.Fprintf(h, "%s\n", m.Destination)
	}
	p.plan.Env = []string{"HOSTTYPE=" + p.image.Arch, "MACHTYPE=" + p.target.machine, "MAKE_HOST=" + p.target.machine}
	p.plan.Digest = hex.EncodeToString(h.Sum(nil))
	return &p.plan, nil
}
