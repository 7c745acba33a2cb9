package signature

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// Verifier is our own reader of packages and signatures. Its keys are the
// repository's.
type Verifier interface {
	// Package verifies the digests and signatures of the package in a file.
	Package(ctx context.Context, path string) error
	// Detached verifies an armored signature of a message.
	Detached(message, signature io.Reader) error
}

// Repository is what is verified. All files are on the host.
type Repository struct {
	Key       string   // the public key that clients are told to import
	Repomd    string   // repomd.xml; "" to leave it out
	Signature string   // repomd.xml.asc
	Packages  []string // below Root, slash-separated
	Root      string
}

// Who finds something wrong.
const (
	Own     = "ohpc-build"
	RPMKeys = "rpmkeys"
	GPG     = "gpg"
)

// Problem is a file whose signature is not right.
type Problem struct {
	File   string // as in Repository
	By     string // who says so
	Reason string
}

func (p Problem) String() string { return p.File + ": " + p.By + ": " + p.Reason }

// Report is what verifying found.
type Report struct {
	Packages int
	Problems []Problem
	Notes    []string // what could not be verified, and why
}

const (
	mounted = "/srv/signed"
	keyAt   = "/srv/signed.key"

	// batch is how many packages one rpmkeys is given. They are read whole.
	batch   = 200
	timeout = 30 * time.Minute
	maxOut  = 16 << 20
)

// verifyPackages gives rpm a database of its own with one key, and asks it about the
// packages. Whatever the image's own database trusts does not count.
const verifyPackages = `set -u
db=$(mktemp -d) || exit 70
key=$1
shift
rpmkeys --dbpath "$db" --import "$key" || { echo "the key cannot be imported" >&2; exit 71; }
rpmkeys --dbpath "$db" --define '_pkgverify_level all' --checksig --verbose -- "$@"
exit 0
`

// verifyMetadata asks GnuPG about repomd.xml, with nothing but the one key.
const verifyMetadata = `set -u
gpg=$(command -v gpg || command -v gpg2) || exit 72
home=$(mktemp -d) || exit 70
"$gpg" --homedir "$home" --batch --quiet --no-autostart --import "$1" || { echo "the key cannot be imported" >&2; exit 71; }
"$gpg" --homedir "$home" --batch --no-autostart --trust-model always --verify "$3" "$2"
`

// statusNoGPG is how verifyMetadata says that the image has none.
const statusNoGPG = 72

// exitCoder is an error of a command that ran and failed.
type exitCoder interface{ ExitCode() int }

// Check verifies a repository in a container of the target's image. The error is for
// what kept it from being verified.
func Check(ctx context.Context, v Verifier, c validate.Container, repo Repository) (*Report, error) {
	r := &Report{Packages: len(repo.Packages)}
	for _, name := range repo.Packages {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := safe(name); err != nil {
			return nil, err
		}
		if err := v.Package(ctx, repo.host(name)); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			r.add(name, Own, err.Error())
		}
	}
	if repo.Repomd != "" {
		if err := repo.metadata(ctx, v, c, r); err != nil {
			return nil, err
		}
	}
	for start := 0; start < len(repo.Packages); start += batch {
		names := repo.Packages[start:min(start+batch, len(repo.Packages))]
		if err := repo.rpmkeys(ctx, c, names, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Report) add(file, by, reason string) {
	r.Problems = append(r.Problems, Problem{file, by, strings.TrimSpace(reason)})
}

// safe refuses names that would not be one line of rpmkeys' output.
func safe(name string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("verifying signatures: %q is no file name", name)
	}
	return nil
}

func (repo Repository) host(name string) string { return repo.Root + "/" + name }

// metadata verifies repomd.xml by our own reader and by the image's GnuPG.
func (repo Repository) metadata(ctx context.Context, v Verifier, c validate.Container, r *Report) error {
	const name = "repodata/repomd.xml"
	message, err := os.Open(repo.Repomd)
	if err != nil {
		return fmt.Errorf("verifying signatures: %w", err)
	}
	defer message.Close()
	signature, err := os.Open(repo.Signature)
	if os.IsNotExist(err) {
		r.add(name, Own, "it is not signed: there is no repomd.xml.asc")
		return nil
	}
	if err != nil {
		return fmt.Errorf("verifying signatures: %w", err)
	}
	defer signature.Close()
	if err := v.Detached(message, signature); err != nil {
		r.add(name, Own, err.Error())
	}
	var out output
	const messageAt, signatureAt = "/srv/repomd.xml", "/srv/signature.asc"
	err = c.Run(ctx, validate.Command{
		Args: []string{"/bin/sh", "-c", verifyMetadata, "verify", keyAt, messageAt, signatureAt}, Env: []string{"LC_ALL=C"},
		Mounts:  []validate.Mount{{Source: repo.Key, Destination: keyAt}, {Source: repo.Repomd, Destination: messageAt}, {Source: repo.Signature, Destination: signatureAt}},
		Timeout: timeout, Output: &out,
	})
	switch code, ran := exitCode(err); {
	case err == nil:
	case ran && code == statusNoGPG:
		r.Notes = append(r.Notes, "the image has no gpg: repomd.xml was verified by ohpc-build only")
	case ran:
		r.add(name, GPG, lastLines(out.String(), 6))
	default:
		return fmt.Errorf("verifying repomd.xml with gpg: %w", err)
	}
	return nil
}

func exitCode(err error) (int, bool) {
	var e exitCoder
	if errors.As(err, &e) {
		return e.ExitCode(), true
	}
	return 0, false
}

// rpmkeys asks the image's rpm about packages.
func (repo Repository) rpmkeys(ctx context.Context, c validate.Container, names []string, r *Report) error {
	args := []string{"/bin/sh", "-c", verifyPackages, "verify", keyAt}
	for _, name := range names {
		args = append(args, mounted+"/"+name)
	}
	var out output
	err := c.Run(ctx, validate.Command{
		Args: args, Env: []string{"LC_ALL=C"},
		Mounts:  []validate.Mount{{Source: repo.Key, Destination: keyAt}, {Source: repo.Root, Destination: mounted}},
		Timeout: timeout, Output: &out,
	})
	if err != nil {
		return fmt.Errorf("verifying packages with rpmkeys: %w\n%s", err, lastLines(out.String(), 6))
	}
	if out.cut {
		return fmt.Errorf("verifying packages with rpmkeys: it printed more than %d MiB", maxOut>>20)
	}
	verdicts := parse(out.String(), names)
	for _, name := range names {
		if reason := verdicts[name].problem(); reason != "" {
			r.add(name, RPMKeys, reason)
		}
	}
	return nil
}

// lastLines are the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
