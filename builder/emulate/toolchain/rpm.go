package toolchain

import (
	"bytes"
	"errors"
	"fmt"
	"path"

	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain/uname"
)

// rpmFolder is where rpm's own programs and scripts are (rpm: RPM_CONFIGDIR).
const rpmFolder = "/usr/lib/rpm"

// The programs of rpm. Those that ask which machine they are on get a launcher;
// all others only read files of any architecture.
var (
	rpmAsking = []string{
		"/usr/bin/rpm", "/usr/bin/rpmbuild", "/usr/bin/rpmspec", "/usr/bin/rpmkeys", "/usr/bin/rpmdb",
		rpmFolder + "/rpmdeps", rpmFolder + "/rpmuncompress",
	}
	rpmReading = []string{rpmFolder + "/elfdeps", "/usr/bin/debugedit", "/usr/bin/sepdebugcrcfix", "/usr/bin/file"}
)

// rpm mounts rpm and what it starts for every file, all or nothing: they share
// libraries, and a package must not be written by two versions. Its configuration
// and its scripts are the image's.
func (p *planner) rpm() error {
	if _, err := p.image.program(rpmAsking[0]); errors.As(err, new(*unfit)) {
		return nil // packages are not built here
	} else if err != nil {
		return err
	}
	return p.together("rpm", func() error {
		for _, at := range rpmAsking {
			if err := p.asking(at); err != nil {
				return err
			}
		}
		for _, at := range rpmReading {
			if err := p.replace(replacement{native: at, own: at, same: true}); err != nil {
				return err
			}
		}
		if err := p.rpmParts(); err != nil {
			return err
		}
		return p.rpmAlone()
	})
}

// rpmAlone plans for transactions, in which nothing but rpm itself is native.
func (p *planner) rpmAlone() error {
	alone := planner{native: p.native, image: p.image, host: p.host, target: p.target, dir: p.dir, mounts: map[string]string{}, loaded: p.loaded, packages: p.packages}
	err := alone.base()
	if err == nil {
		err = alone.asking(rpmAsking[0])
	}
	if err == nil {
		err = alone.rpmParts()
	}
	p.plan.Install = alone.list()
	return err
}

func (p *planner) asking(at string) error {
	l := launcher{Name: path.Base(at), Loader: p.host.loader}
	return p.replace(replacement{native: at, own: at, script: "rpm.sh", launcher: l, same: true})
}

// rpmParts mounts what rpm is given beside its libraries: the library that answers
// its question, and what transactions call, by names that the image's configuration
// has.
func (p *planner) rpmParts() error {
	if err := p.rpmUname(); err != nil {
		return err
	}
	const folder = "rpm-plugins"
	own := path.Join("/usr/lib", p.target.triplet, folder)
	plugins, err := p.image.overlay().List(own)
	if err != nil {
		return err
	}
	for _, name := range plugins {
		native := path.Join("/usr/lib", p.host.triplet, folder, name)
		if err := p.replace(replacement{native: native, own: path.Join(own, name)}); err != nil {
			return err
		}
	}
	return nil
}

// rpmUname brings the library that answers rpm's question, and looks whether the
// native loader knows how to give it to a program but not to what that starts.
func (p *planner) rpmUname() error {
	loader, err := p.native.program(p.host.loader)
	if err != nil {
		return err
	}
	text, err := loader.text()
	if err != nil {
		return err
	}
	for _, option := range []string{"--preload", "--argv0"} {
		if !bytes.Contains(text, []byte(option+"\x00")) {
			return &unfit{fmt.Sprintf("%s does not know the option %s (glibc before 2.33)", loader.Path, option)}
		}
	}
	library, err := uname.Library(p.native.Arch, p.image.Arch)
	if err != nil {
		return err
	}
	source, err := p.write("uname.so", library)
	if err != nil {
		return err
	}
	p.mounts[path.Join(folder, "native/uname.so")] = source
	return nil
}
