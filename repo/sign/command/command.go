// Package command signs with a program of the user's own: one that asks a
// hardware module, a signing service or a vault. It gets a digest and never sees a
// package, and what it answers is verified.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// command runs a program for each signature. The program reads one line from its
// standard input, four words
//
//	rsa sha256 <digest, hexadecimal> <fingerprint of the key>
//
// (or ed25519 in place of rsa), and writes the signature to its standard output,
// as bytes: for RSA by PKCS #1 v1.5, as long as the modulus; for Ed25519, of the
// 32 bytes of the digest as the message, R and S of 32 bytes each. It ends with
// status 0.
type command struct {
	argv      []string
	key       *sign.Key
	patience  time.Duration
	maxAnswer int
}

// Limits of a program.
const (
	defaultPatience  = 2 * time.Minute
	defaultMaxAnswer = 8 << 10 // bytes; RSA-16384 has 2048
)

// Open is a key with which argv signs. publicKey is the file of its public half,
// armored.
func Open(argv []string, publicKey string) (*sign.Key, error) {
	return open(&command{argv: argv, patience: defaultPatience, maxAnswer: defaultMaxAnswer}, publicKey)
}

func open(c *command, publicKey string) (*sign.Key, error) {
	if len(c.argv) == 0 {
		return nil, errors.New("the command that signs is empty")
	}
	if _, err := exec.LookPath(c.argv[0]); err != nil {
		return nil, fmt.Errorf("the command that signs: %w", err)
	}
	f, err := os.Open(publicKey)
	if err != nil {
		return nil, fmt.Errorf("the public key of the command that signs: %w", err)
	}
	defer f.Close()
	k, err := sign.NewKey(f, c)
	if err != nil {
		return nil, fmt.Errorf("the public key of the command that signs, %s: %w", publicKey, err)
	}
	c.key = k
	return k, nil
}

// Sign runs the program.
func (c *command) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, fmt.Errorf("it did not answer within %v", c.patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	// It may have started others, which end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(fmt.Sprintf("%s sha256 %x %s\n", c.key.Algorithm(), digest, c.key.SigningFingerprint()))
	// Who answers without an end is ended; complaints may be long.
	answer, complaint := &bounded{left: c.maxAnswer, full: cancel}, &bounded{left: c.maxAnswer, full: func() {}}
	cmd.Stdout, cmd.Stderr = answer, complaint
	err := cmd.Run()
	name := c.argv[0]
	switch {
	case answer.cut:
		return nil, fmt.Errorf("the command that signs, %s: its answer is longer than %d bytes, no signature is", name, c.maxAnswer)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the command that signs, %s: %w", name, context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("the command that signs, %s: %w%s", name, err, lastLine(string(complaint.kept)))
	case len(answer.kept) == 0:
		return nil, fmt.Errorf("the command that signs, %s: it answered nothing%s", name, lastLine(string(complaint.kept)))
	}
	return answer.kept, nil
}

// lastLine is the last of what a program complained about, printable.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return fmt.Sprintf(": %.300q", last)
	}
	return ""
}

// bounded keeps the first bytes of what is written to it, and says when there are
// more.
type bounded struct {
	kept []byte
	left int
	cut  bool
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.kept = append(b.kept, p[:n]...)
	if n < len(p) && !b.cut {
		b.cut = true
		b.full()
	}
	return len(p), nil
}
