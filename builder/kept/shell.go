package kept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// resume is the file in the build folder that takes the shell to where the build
// was. It is removed afterwards.
const resume = ".ohpc-build-shell"

// interactive starts bash, or what there is in its place, with that file.
const interactive = `if command -v bash >/dev/null; then exec bash --rcfile "$1" -i; fi; ENV=$1 exec sh -i`

// Shell opens a shell on the program's terminal, in the container of the build:
// with its user, limits and environment, without a network, and where its last
// script was. Native programs and their environment are mounted as for the build.
// What the shell changes, it changes in the kept root. How the shell ends does not
// matter; the error says that there was none.
func (r *Root) Shell(ctx context.Context, sb Sandbox, native []sandbox.Mount, env []string, say io.Writer) error {
	if err := r.Check(); err != nil {
		return err
	}
	top, err := os.OpenRoot(filepath.Join(r.dir, Build))
	if err != nil {
		return fmt.Errorf("entering the kept root of %s: %w", r.Job, err)
	}
	defer top.Close()
	script, text := lastScript(top)
	// The build may have left anything under this name.
	if err := top.RemoveAll(resume); err != nil {
		return fmt.Errorf("entering the kept root of %s: %w", r.Job, err)
	}
	rc := "PS1='[" + path.Base(r.Run.Topdir) + " \\w]\\$ '\n" + preamble(text)
	if err := top.WriteFile(resume, []byte(rc), 0o444); err != nil {
		return fmt.Errorf("entering the kept root of %s: %w", r.Job, err)
	}
	defer func() { _ = top.RemoveAll(resume) }()
	fmt.Fprintf(say, "The root of %s as its build left it. Leave with exit or Ctrl-D.\n", r.Job)
	if script != "" {
		fmt.Fprintf(say, "The script that failed, to be run again: bash -ex %s\n", path.Join(r.Run.Topdir, script))
	}
	mounts := append([]sandbox.Mount{{Source: filepath.Join(r.dir, Build), Destination: r.Run.Topdir}}, native...)
	err = sb.Run(ctx, sandbox.Spec{
		Name:     "shell",
		Layers:   r.Run.Layers,
		Upper:    filepath.Join(r.dir, Changes),
		Args:     []string{"/bin/sh", "-c", interactive, "shell", path.Join(r.Run.Topdir, resume)},
		Env:      append(slices.Clone(r.Run.Env), append(env, terminalEnv()...)...),
		Cwd:      r.Run.Topdir,
		UID:      r.Run.UID,
		GID:      r.Run.GID,
		HostName: r.Run.HostName,
		Mounts:   mounts,
		Limits:   r.Run.Limits,
		Terminal: true,
	})
	var exit *sandbox.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("a shell in the root of %s: %w", r.Job, err)
	}
	return nil
}

// terminalEnv is what programs want to know of a terminal.
func terminalEnv() []string {
	if term := os.Getenv("TERM"); term != "" {
		return []string{"TERM=" + term}
	}
	return nil
}
