package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// packagesFlags are the flags of the checks that look at packages' files.
type packagesFlags struct {
	repo, key, format string
	from, base        string // of those that install and upgrade
	suiteTree         string // of those that run tests
}

func newValidateContent(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "content --repo DIR|URL",
		Short: "Look into packages for what must not be there",
		Long: `content looks into each package of a repository, in each cell, and tells

  machine         code for another machine than the package's: ELF files, members of
                  static libraries, EFI programs, kernels, BIOS boot programs; also
                  compressed, as kernel modules are, and in an initramfs
  noarch-code     code for a machine in a noarch package
  build-path      a path of the place where it was built, in a text, a library, a script
  run-path        an RPATH or RUNPATH where anybody may put a library
  interpreter     a script whose interpreter is neither in a package nor in the image, or
                  of an initramfs, not in that
  setuid          files that run with rights, capability too, and files, folders and
  world-writable  devices that others than root may change or have: device, owner
  symlink         a link to where it was built, or out of the root
  file-conflict   different files of one path in two packages that can be installed
                  together, as rpm decides it

What is right all the same is declared in the recipe: allow, with the rule, the paths
and a reason. Warnings (exec-stack, text-rel, malformed, build-id) are in the log.

Packages are read as streams. Those of a URL are downloaded and verified against the
metadata; nothing of a package is ever run.

Exit status: 0 nothing was found, 1 something was, 2 the repository cannot be read or
the command line is wrong.`,
		Example: `  ohpc-build validate content --repo out/repos/OpenHPC/3/Debian_12 --target Debian_12
  ohpc-build validate content --repo https://example.org/OpenHPC/3/EL_9 --target EL_9 --arch aarch64`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd, f, "content", nil)
		},
	}
	p.add(cmd)
	return cmd
}

func newValidateSignatures(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "signatures --repo DIR|URL",
		Short: "Verify every package's signature, also by the target's own rpm",
		Long: `signatures verifies repomd.xml and each package of a repository with one key: by
ohpc-build's own reader, and in a container of the cell's image, without network and
with a database that trusts that key only, by the target's rpmkeys and gpg. A package
that is not signed, is signed by another key or was changed is told by its file.

Exit status: 0 everything is signed, 1 something is not, 2 the repository or the key
cannot be read or the command line is wrong, 3 the host lacks something.`,
		Example: `  ohpc-build validate signatures --repo out/repos/OpenHPC/3/Debian_12 --target Debian_12
  ohpc-build validate signatures --repo https://example.org/OpenHPC/3/EL_9 --target EL_9 --arch x86_64 --key RPM-GPG-KEY-OpenHPC-3`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := f.trustedKey(p.key)
			if err != nil {
				return err
			}
			return p.run(cmd, f, "signatures", key)
		},
	}
	p.add(cmd)
	p.addKey(cmd)
	return cmd
}

func (p *packagesFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.repo, "repo", "", "repository to check, a `folder or URL` that holds repodata")
	cmd.Flags().StringVar(&p.format, "format", "text", "text or json")
}

func (p *packagesFlags) addKey(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.key, "key", "", "`file` with the public key to trust (default: the state folder's signing key)")
}

// trustedKey is the armored public key in a file, or that of the state folder.
func (f *flags) trustedKey(file string) ([]byte, error) {
	if file == "" {
		_, key, err := f.existingKey()
		if err != nil {
			return nil, err
		}
		return key.PublicKey(), nil
	}
	const limit = 1 << 20
	b, err := readSmall(file, limit)
	if err != nil {
		return nil, usageError("--key names the file with the public key to trust: %w", err)
	}
	if _, err := sign.ReadKeyring(bytes.NewReader(b)); err != nil {
		return nil, usageError("--key names the file with the public key to trust: %s: %w", file, err)
	}
	return b, nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, err
}

// prepare makes of the flags what is to be checked, and who does it.
func (p *packagesFlags) prepare(cmd *cobra.Command, f *flags, key []byte, checks ...string) (*matrix.Matrix, matrix.Foreign, error) {
	none := matrix.Foreign{}
	switch {
	case p.format != "text" && p.format != "json":
		return nil, none, usageError("--format is text or json, not %q", p.format)
	case p.repo == "":
		return nil, none, usageError("name the repository to check with --repo, a folder or URL that holds repodata")
	}
	opt, err := f.options(nil)
	if err != nil {
		return nil, none, err
	}
	opt.SuiteTree = p.suiteTree
	m, err := matrix.New(opt)
	if err != nil {
		return nil, none, err
	}
	repository, err := openRepository(cmd.Context(), "--repo", p.repo)
	if err != nil {
		return nil, none, err
	}
	for _, also := range []struct{ flag, location string }{{"--from", p.from}, {"--base", p.base}} {
		if also.location == "" {
			continue
		}
		if _, err := openRepository(cmd.Context(), also.flag, also.location); err != nil {
			return nil, none, err
		}
	}
	return m, matrix.Foreign{Repository: repository, Checks: checks, PublicKey: key, From: p.from, Base: p.base}, nil
}

// openRepository opens what a flag names, before anything is done for it.
func openRepository(ctx context.Context, flag, location string) (*repodata.Repository, error) {
	repository, err := repodata.Open(ctx, location)
	if err == nil {
		return repository, nil
	}
	next := ""
	switch {
	case strings.HasPrefix(location, "http") && errors.As(err, new(net.Error)):
		next = "; is the address right, and does its server answer from here?"
	case errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "repodata"):
		next = "; name the folder that holds repodata"
	}
	return nil, usageError("%s: %w%s", flag, err, next)
}

func (p *packagesFlags) run(cmd *cobra.Command, f *flags, check string, key []byte) error {
	m, foreign, err := p.prepare(cmd, f, key, check)
	if err != nil {
		return err
	}
	rows, err := m.Check(cmd.Context(), foreign)
	if err != nil {
		return err
	}
	slices.SortFunc(rows, func(a, b report.Check) int { return strings.Compare(a.ID(), b.ID()) })
	if p.format == "json" {
		err = reportJSON(struct {
			Version int            `json:"version"`
			Checks  []report.Check `json:"checks"`
		}{1, rows}, cmd.OutOrStdout())
	} else {
		err = checksText(rows, filepath.Join(f.out, matrix.ValidateFolder), cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	failed := 0
	for _, row := range rows {
		if row.Result == report.Fail {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, plural(len(rows), "check"))
	}
	return nil
}

// allPackages is the subject of a check that is of all packages of a cell.
const allPackages = "all packages"

// checksText prints how each check ended. Its logs are named in their folder.
func checksText(rows []report.Check, dir string, w io.Writer) error {
	var b strings.Builder
	told := map[string]string{} // which check had a reason first
	for _, row := range rows {
		name := row.Name
		if row.Subject != allPackages {
			name += " of " + row.Subject
		}
		fmt.Fprintf(&b, "%s/%s: %s: %s in %.1f s, log: %s/%s\n", row.Target, row.Arch, name, row.Result, row.Seconds, dir, row.Log)
		if first := told[row.Reason]; first != "" {
			b.WriteString("  for the same reason as " + first + "\n")
			continue
		}
		if strings.Contains(row.Reason, "\n") {
			told[row.Reason] = name
		}
		for line := range strings.Lines(row.Reason) {
			b.WriteString("  " + harmless(strings.TrimRight(line, "\n")) + "\n")
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}
