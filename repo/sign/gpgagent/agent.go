package gpgagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// agent signs with one key of the agent at a socket.
type agent struct {
	socket string
	grip   string // the agent's name for the key
	about  string // what a person is told who is asked for a passphrase

	// One at a time: neither the agent nor a card does more, and a person is
	// asked once.
	mu sync.Mutex
}

// patience is how long a person may take to type a passphrase.
const patience = 3 * time.Minute

// Open finds the key with that fingerprint in the keyring and makes sure that the
// agent can sign with it.
func Open(ctx context.Context, fingerprint string) (*sign.Key, error) {
	k, err := open(ctx, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("signing key %s of gpg-agent: %w", fingerprint, err)
	}
	return k, nil
}

var isFingerprint = regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)

func open(ctx context.Context, fingerprint string) (*sign.Key, error) {
	if !isFingerprint.MatchString(fingerprint) {
		return nil, errors.New("it is to be named by its fingerprint, 40 hexadecimal digits without spaces; gpg --list-secret-keys prints it")
	}
	public, err := ask(ctx, "gpg", "--batch", "--armor", "--export-options", "export-minimal", "--export", fingerprint)
	if err != nil {
		return nil, err
	}
	if len(public) == 0 {
		return nil, errors.New("it is not in the keyring; gpg --list-keys tells what is, gpg --import puts a public key there")
	}
	a := &agent{}
	k, err := sign.NewKey(bytes.NewReader(public), a)
	if err != nil {
		return nil, err
	}
	list, err := ask(ctx, "gpg", "--batch", "--with-colons", "--with-keygrip", "--list-keys", fingerprint)
	if err != nil {
		return nil, err
	}
	if a.grip, err = keygrip(string(list), k.SigningFingerprint()); err != nil {
		return nil, err
	}
	if a.socket, err = socket(ctx); err != nil {
		return nil, err
	}
	a.about = fmt.Sprintf("ohpc-build signs packages with the key of\n%s", k.UserID())
	return k, a.has(ctx)
}

// has asks the agent whether it can sign. Nobody is asked for a passphrase yet.
func (a *agent) has(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := dial(ctx, a.socket)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.call("HAVEKEY " + a.grip)
	return err
}

// Sign lets the agent sign. A person may be asked for a passphrase meanwhile.
func (a *agent) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := dial(ctx, a.socket)
	if err != nil {
		return nil, err
	}
	defer c.close()
	c.tellTerminal()
	for _, command := range []string{
		"SIGKEY " + a.grip,
		"SETKEYDESC " + escape(a.about),
		fmt.Sprintf("SETHASH --hash=sha256 %X", digest),
	} {
		if _, err := c.call(command); err != nil {
			return nil, err
		}
	}
	answer, err := c.call("PKSIGN")
	if err != nil {
		return nil, err
	}
	return signature(answer)
}

// ask runs one of gpg's programs.
func ask(ctx context.Context, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%s is not installed: it knows the public half", program)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(complaint.String()))
	}
	return out, nil
}

// keygrip finds in what gpg lists with colons the grip of a key or subkey (GnuPG:
// doc/DETAILS, "fpr" and "grp").
func keygrip(list, fingerprint string) (string, error) {
	found := false
	for line := range strings.Lines(list) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		switch {
		case len(fields) < 10:
		case fields[0] == "fpr":
			found = fields[9] == fingerprint
		case fields[0] == "grp" && found && isFingerprint.MatchString(fields[9]):
			return fields[9], nil
		}
	}
	return "", fmt.Errorf("gpg does not list (sub)key %s", fingerprint)
}

// socket is where the agent listens. In the namespace that an ordinary user's run
// enters, gpgconf takes the user for root and looks at the wrong place.
func socket(ctx context.Context) (string, error) {
	out, err := ask(ctx, "gpgconf", "--list-dirs", "agent-socket")
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(string(out), "\n")
	if _, err := os.Stat(path); err != nil && os.Getenv("GNUPGHOME") == "" {
		own := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "gnupg", "S.gpg-agent")
		if _, err := os.Stat(own); err == nil && filepath.IsAbs(own) {
			return own, nil
		}
	}
	return path, nil
}
