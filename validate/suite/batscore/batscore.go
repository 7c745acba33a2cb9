// Package batscore brings along BATS, the Bash Automated Testing System, which runs
// recipes' tests: release 1.8.2 of bats-core, as its authors published it (folder
// upstream, with its licence). It needs bash and coreutils only, so one copy serves
// the containers of all targets and architectures, whose own they need not have.
package batscore

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Version is that of bats-core.
const Version = "1.8.2"

//go:embed upstream
var files embed.FS

const top = "upstream"

// Write writes bats-core into a folder, which is made. Anybody may read it.
func Write(dir string) error {
	err := each(func(name string, d fs.DirEntry) error {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(at, 0o755)
		}
		b, err := files.ReadFile(top + "/" + name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "libexec/") {
			mode = 0o755
		}
		if err := os.WriteFile(at, b, mode); err != nil {
			return err
		}
		return os.Chmod(at, mode) // whatever the umask
	})
	if err != nil {
		return fmt.Errorf("writing bats-core: %w", err)
	}
	return nil
}

// Digest stands for all files: results with another BATS are other results.
func Digest() (string, error) {
	h := sha256.New()
	err := each(func(name string, d fs.DirEntry) error {
		if d.IsDir() {
			return nil
		}
		b, err := files.ReadFile(top + "/" + name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%x %s\n", sha256.Sum256(b), name)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func each(do func(name string, d fs.DirEntry) error) error {
	sub, err := fs.Sub(files, top)
	if err != nil {
		return err
	}
	return fs.WalkDir(sub, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return do(name, d)
	})
}
