package content

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/content/binary"
)

const noarch = "noarch"

// file looks into a regular file of the payload.
func (in *inspection) file(ctx context.Context, f rpm.File, size int64, content io.Reader) error {
	if in.block == nil {
		in.block = make([]byte, binary.HeadSize)
	}
	n, err := io.ReadFull(content, in.block)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	head := in.block[:n]
	var traces traces
	_, _ = traces.Write(head)
	rest := io.TeeReader(content, &traces)
	switch {
	case binary.IsELF(head):
		err = in.elf(f, head, size, rest)
	case binary.IsArchive(head):
		err = in.archive(f, io.MultiReader(bytes.NewReader(head), rest))
	case isScript(head) && f.Mode&anyExecute != 0:
		err = in.script(f, head)
	case binary.Packed(head):
		err = in.packed(ctx, f, io.MultiReader(bytes.NewReader(head), rest))
	default:
		err = in.boot(f, head)
	}
	if err != nil {
		return err
	}
	isText := bytes.IndexByte(head, 0) < 0
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return err
	}
	return in.built(f, &traces, isText)
}

// code judges code by the machine that it is for. part is what of the file it is, "" for
// all of it.
func (in *inspection) code(f rpm.File, part string, c binary.Code) error {
	what := "it is"
	if part != "" {
		what = part + " is"
	}
	what += " " + article(c.Format)
	arch := in.report.Arch
	switch {
	case arch == noarch && c.Native():
		return in.find(f.Path(), NoarchCode, "build the package for each architecture, or declare the file in the recipe's allow with a reason",
			"%s for %s in a package for all machines", what, c.Machine)
	case arch != noarch && !c.Fits(arch):
		return in.find(f.Path(), Machine, "build it for "+arch+", or declare the file in the recipe's allow when it is there for other machines",
			"%s for %s in a package for %s", what, c.Machine, arch)
	}
	return nil
}

func article(format string) string {
	if strings.HasPrefix(format, "E") {
		return "an " + format
	}
	return "a " + format
}

func (in *inspection) boot(f rpm.File, head []byte) error {
	if c, ok := binary.Boot(f.Base, head); ok {
		return in.code(f, "", c)
	}
	return nil
}

func (in *inspection) elf(f rpm.File, head []byte, size int64, rest io.Reader) error {
	w := &in.window
	w.reset(size)
	_, _ = w.Write(head)
	if _, err := io.Copy(w, rest); err != nil {
		return err
	}
	e, err := binary.ReadELF(w, size)
	if e == nil {
		return in.find(f.Path(), Malformed, "", "%v", err)
	}
	if err != nil {
		if err := in.find(f.Path(), Malformed, "", "%v", err); err != nil {
			return err
		}
	}
	if err := in.code(f, "", e.Code); err != nil {
		return err
	}
	if e.BuildID != "" {
		in.report.BuildIDs = append(in.report.BuildIDs, Built{e.BuildID, printable(f.Path()), f.Digest})
	}
	if e.ExecStack {
		if err := in.find(f.Path(), ExecStack, "", "it asks for a stack that holds code"); err != nil {
			return err
		}
	}
	if e.TextRel {
		if err := in.find(f.Path(), TextRel, "", "its code is relocated, and cannot be shared or protected"); err != nil {
			return err
		}
	}
	for _, entry := range e.RunPath {
		if why := badRunPath(entry); why != "" {
			err := in.find(f.Path(), RunPath, "link it without, or change it with patchelf or chrpath in %install", "its RPATH or RUNPATH has %q, %s", entry, why)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// badRunPath says what is wrong with a folder of a RUNPATH (ld.so(8)).
func badRunPath(entry string) string {
	if rest, ok := strings.CutPrefix(entry, "$ORIGIN"); ok && (rest == "" || rest[0] == '/') {
		return ""
	}
	if rest, ok := strings.CutPrefix(entry, "${ORIGIN}"); ok && (rest == "" || rest[0] == '/') {
		return ""
	}
	clean := path.Clean(entry) + "/"
	switch {
	case entry == "":
		return "which stands for the folder that a program is started in"
	case !path.IsAbs(entry):
		return "which is below the folder that a program is started in"
	case built(clean) != "":
		return "where it was built"
	}
	for _, open := range []string{"/tmp/", "/var/tmp/", "/dev/shm/", "/usr/tmp/", "/home/"} {
		if strings.HasPrefix(clean, open) {
			return "where others than root may put a library"
		}
	}
	return ""
}

func (in *inspection) archive(f rpm.File, r io.Reader) error {
	told := map[string]bool{} // one finding for each machine
	err := binary.Members(r, func(name string, head []byte) error {
		if !binary.IsELF(head) {
			return nil
		}
		e, err := binary.Header(head)
		if err != nil {
			return err
		}
		if told[e.Machine] {
			return nil
		}
		told[e.Machine] = true
		return in.code(f, "its member "+name, e.Code)
	})
	if errors.Is(err, binary.ErrArchive) || errors.Is(err, binary.ErrELF) {
		return in.find(f.Path(), Malformed, "", "%v", err)
	}
	return err
}

// built judges the traces of the place where a file was built.
func (in *inspection) built(f rpm.File, t *traces, isText bool) error {
	const mend = "replace it in %install by the path where it is installed"
	if t.root != "" {
		return in.find(f.Path(), BuildPath, mend, "it names the build root: %s", t.root)
	}
	// In binaries the folder of the sources stands for debuggers and in messages, in
	// documents for readers; in other texts somebody will look for something there.
	if t.sources != "" && isText && f.Flags&rpm.FileDoc == 0 && !strings.HasPrefix(f.Dir, "/usr/src/debug/") {
		return in.find(f.Path(), BuildPath, mend, "it names the folder where it was built: %s", t.sources)
	}
	return nil
}
