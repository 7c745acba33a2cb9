package content

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// shebang is the first line of a script.
type shebang struct {
	interpreter string // "" when the line is wrong
	wrong, mend string // what is wrong with it; "" when nothing is
}

func isScript(head []byte) bool { return bytes.HasPrefix(head, []byte("#!")) }

// maxShebang is what a kernel reads of a script's first line (Linux: binfmt_script.c).
const maxShebang = 255

// readShebang reads what a script begins with.
func readShebang(head []byte) shebang {
	const mend = "name a program that is installed by its whole path"
	line, _, ended := strings.Cut(string(head[2:min(len(head), maxShebang+1)]), "\n")
	fields := strings.Fields(line)
	switch {
	case !ended && len(head) > maxShebang:
		return shebang{wrong: fmt.Sprintf("its first line is longer than the %d bytes that a kernel reads", maxShebang), mend: mend}
	case len(fields) == 0:
		return shebang{wrong: "its first line names no interpreter", mend: mend}
	case strings.HasSuffix(line, "\r"):
		return shebang{wrong: "its first line ends in a carriage return, which a kernel takes for a part of the name", mend: "write it with the line ends of Unix"}
	case !path.IsAbs(fields[0]):
		return shebang{wrong: fmt.Sprintf("its interpreter %s is no whole path", fields[0]), mend: mend}
	case built(fields[0]) != "":
		return shebang{wrong: fmt.Sprintf("its interpreter %s is where it was built", fields[0]), mend: mend}
	case path.Base(fields[0]) != "env":
		return shebang{interpreter: fields[0]}
	}
	program := ""
	for _, word := range fields[1:] {
		if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
			program = word
			break
		}
	}
	switch {
	case program == "":
		return shebang{interpreter: fields[0], wrong: "env is given no program to run", mend: mend}
	case built(program) != "":
		return shebang{interpreter: fields[0], wrong: fmt.Sprintf("its interpreter %s is where it was built", program), mend: mend}
	}
	return shebang{interpreter: fields[0]}
}

// script looks at the first line of an executable script.
func (in *inspection) script(f rpm.File, head []byte) error {
	s := readShebang(head)
	if s.interpreter != "" {
		in.report.Scripts = append(in.report.Scripts, Script{printable(f.Path()), printable(s.interpreter)})
	}
	if s.wrong != "" {
		return in.find(f.Path(), Interpreter, s.mend, "%s", s.wrong)
	}
	return nil
}
