package toolchain

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// planner gathers a plan.
type planner struct {
	native, image Root
	host, target  *system
	dir           string
	mounts        map[string]string  // destination → source
	loaded        map[string]program // libraries by soname
	plan          Plan
	written       bytes.Buffer // the launchers, for the digest
	packages      *packages    // of both roots; nil until somebody asks
}

// list is what has been gathered, in order.
func (p *planner) list() []sandbox.Mount {
	var all []sandbox.Mount
	for _, at := range slices.Sorted(maps.Keys(p.mounts)) {
		all = append(all, sandbox.Mount{Source: p.mounts[at], Destination: at, ReadOnly: true})
	}
	return all
}

// base brings the loader, and bash for the launchers.
func (p *planner) base() error {
	at, err := p.image.overlay().Place(p.host.loader)
	if err != nil {
		return err
	}
	for _, f := range []struct{ native, at string }{{p.host.loader, at}, {"/usr/bin/bash", folder + "/native/bash"}} {
		native, err := p.native.program(f.native)
		if err == nil {
			err = p.mount(native, f.at)
		}
		if err != nil {
			return unfitting(err, func(reason string) error { return &UnavailableError{Reason: reason} })
		}
	}
	return nil
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
	return p.together("compilers and binutils", func() error {
		if err := p.binutils(); err != nil {
			return err
		}
		return p.compilers()
	})
}

// together mounts a group of programs that must all be native or all emulated.
func (p *planner) together(what string, group func() error) error {
	plan, mounts := p.plan, maps.Clone(p.mounts)
	err := group()
	if errors.As(err, new(*unfit)) {
		p.plan, p.mounts = plan, mounts
	}
	return p.leave(what, err)
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
	local, err := p.image.overlay().List("/usr/local/include")
	if err != nil {
		return err
	}
	if len(local) > 0 {
		return &unfit{"/usr/local/include is not empty, and cross compilers do not look there"}
	}
	versions, err := p.image.overlay().List("/usr/lib/gcc/" + p.target.triplet)
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
		all = append(all, replacement{native: path.Join(from, pass), own: path.Join(to, pass), script: "pass.sh", launcher: l})
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
	direct, err := p.native.program(path.Join(from, "cc1"))
	if err != nil {
		return err
	}
	return p.mount(direct, path.Join(folder, "passes", version, "cc1"))
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
	same        bool // whether the two have to be of the same versions, with all that they load
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
	if path.Base(own.Path) != path.Base(r.own) {
		return nil // one program that is many, such as busybox
	}
	native, err := p.native.program(r.native)
	if err != nil {
		return err
	}
	if r.same {
		if err := p.sameVersions(native); err != nil {
			return err
		}
	}
	if r.script == "" {
		return p.mount(native, own.Path)
	}
	r.launcher.Folder = folder
	text, err := r.launcher.write(r.script)
	if err != nil {
		return err
	}
	source, err := p.write(r.launcher.Name, text)
	if err != nil {
		return err
	}
	if err := p.mount(native, path.Join(folder, "native", r.launcher.Name)); err != nil {
		return err
	}
	p.mounts[path.Join(folder, "own", r.launcher.Name)] = own.Source
	p.mounts[own.Path] = source
	return nil
}

// write puts a file of our own where containers get it from.
func (p *planner) write(name string, content []byte) (source string, err error) {
	source = filepath.Join(p.dir, name)
	err = os.WriteFile(source, content, 0o755)
	if err == nil {
		err = os.Chmod(source, 0o755) // whatever the umask: the build's user runs it
	}
	if err != nil {
		return "", fmt.Errorf("writing a launcher: %w", err)
	}
	p.written.Write(content)
	return source, nil
}

// mount shows a native program at a place of the image, and its libraries.
func (p *planner) mount(f program, at string) error {
	libraries, err := p.libraries(f)
	if err != nil {
		return err
	}
	for name, library := range libraries {
		to, err := p.image.overlay().Place(path.Join("/usr/lib", p.host.triplet, name))
		if err != nil {
			return err
		}
		p.mounts[to] = library.Source
	}
	p.mounts[at] = f.Source
	return nil
}

// leave notes what stays emulated when err is an *unfit.
func (p *planner) leave(what string, err error) error {
	return unfitting(err, func(reason string) error {
		p.plan.Emulated = append(p.plan.Emulated, Emulated{What: what, Reason: reason})
		return nil
	})
}
