package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/signature"
)

// signaturesCheck is the check's name in a target.
const signaturesCheck = "signatures"

// trySignatures verifies the packages that the cell's users install, and in a cell
// that is not emulated the source packages, which are the same for all.
func (t *Trial) trySignatures(ctx context.Context, k check) (validate.Check, error) {
	begin := time.Now()
	trusted, err := sign.ReadKeyring(bytes.NewReader(t.cell.PublicKey))
	if err != nil {
		return validate.Check{}, err
	}
	sources := emulate.Native(t.cell.Arch)
	records, err := t.records(ctx, func(arch string) bool {
		return arch == t.cell.Arch || arch == noarch || sources && (arch == "src" || arch == "nosrc")
	})
	if err != nil {
		return validate.Check{}, err
	}
	repo := signature.Repository{
		Key: t.publicKey, Root: t.cell.Snapshot.Dir,
		Repomd:    filepath.Join(t.cell.Snapshot.Dir, rpmmd.RepomdFile),
		Signature: filepath.Join(t.cell.Snapshot.Dir, rpmmd.RepomdFile+".asc"),
	}
	var missing []signature.Problem
	for _, rec := range records {
		if _, err := os.Stat(t.path(rec)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, signature.Problem{File: rec.Location, By: signature.Own, Reason: "the metadata name it, and it is not there"})
			continue
		}
		repo.Packages = append(repo.Packages, rec.Location)
	}
	r, err := signature.Check(ctx, reader{trusted}, t.container(), repo)
	if err != nil {
		return validate.Check{}, err
	}
	var log strings.Builder
	var reasons []string
	for _, p := range append(missing, r.Problems...) {
		fmt.Fprintln(&log, p)
		reasons = append(reasons, p.String())
	}
	for _, note := range r.Notes {
		fmt.Fprintln(&log, note)
	}
	fmt.Fprintf(&log, "%d packages and repomd.xml verified with %s by ohpc-build and by the rpm of %s, %d problems\n",
		r.Packages, strings.Join(trusted.Fingerprints(), ", "), t.cell, len(reasons))
	return verdict(k, begin, reasons, &log), nil
}

// reader gives package signature our own reader of packages.
type reader struct{ trusted *sign.Keyring }

// Package implements [signature.Verifier].
func (r reader) Package(ctx context.Context, path string) error {
	_, err := r.trusted.VerifyPackageFile(ctx, path)
	return err
}

// Detached implements [signature.Verifier].
func (r reader) Detached(message, sig io.Reader) error { return r.trusted.VerifyDetached(message, sig) }
