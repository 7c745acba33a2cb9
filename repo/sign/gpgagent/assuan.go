package gpgagent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// conn is a connection to an Assuan server (GnuPG: libassuan's manual, "Assuan
// protocol").
type conn struct {
	net.Conn
	in   *bufio.Reader
	ctx  context.Context // the conversation's
	stop func() bool
}

// Bounds of what a server may say, in bytes.
const (
	maxLine = 1002 // of the protocol, with the line feed
	maxData = 16 << 10
)

func dial(ctx context.Context, socket string) (*conn, error) {
	raw, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "unix", socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("gpg-agent does not run: nobody listens at %s; start it with: gpgconf --launch gpg-agent", socket)
	}
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, in: bufio.NewReaderSize(raw, maxLine), ctx: ctx}
	// Whoever waits for an answer is woken when the context ends.
	c.stop = context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	if _, err := c.answer(); err != nil {
		c.close()
		return nil, c.because("greeting", err)
	}
	return c, nil
}

func (c *conn) close() {
	c.stop()
	_ = c.Close() // nothing is lost
}

// call sends a command and returns the data in the answer.
func (c *conn) call(command string) ([]byte, error) {
	if len(command) >= maxLine || strings.ContainsAny(command, "\r\n") {
		return nil, errors.New("a command to gpg-agent is malformed")
	}
	name, _, _ := strings.Cut(command, " ")
	if _, err := c.Write([]byte(command + "\n")); err != nil {
		return nil, c.because(name, err)
	}
	data, err := c.answer()
	if err != nil {
		return nil, c.because(name, err)
	}
	return data, nil
}

func (c *conn) because(name string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
			return errors.New("gpg-agent did not answer in time: was a passphrase asked for on another terminal? (export GPG_TTY=$(tty))")
		}
		return context.Cause(c.ctx)
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		return err
	}
	return fmt.Errorf("gpg-agent, %s: %w", name, err)
}

// answer reads until the server is done.
func (c *conn) answer() ([]byte, error) {
	var data []byte
	for lines := 0; lines < 1000; lines++ {
		line, err := c.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, errors.New("the answer has a line that is too long")
		}
		if err != nil {
			return nil, err
		}
		word, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch word {
		case "OK":
			return data, nil
		case "ERR":
			return nil, refusal(rest)
		case "D":
			if data = append(data, unescape(rest)...); len(data) > maxData {
				return nil, errors.New("the answer is too long")
			}
		case "INQUIRE": // nothing of what we ask needs more
			if _, err := c.Write([]byte("CAN\n")); err != nil {
				return nil, err
			}
		case "S":
		default:
			if !strings.HasPrefix(word, "#") {
				return nil, fmt.Errorf("the answer %q is not understood", word)
			}
		}
	}
	return nil, errors.New("the answer has no end")
}

// tellTerminal lets the agent ask a person on the terminal that this process has,
// as gpg does. An agent that does not want to know some of it can sign still.
func (c *conn) tellTerminal() {
	tty := os.Getenv("GPG_TTY")
	if tty == "" && term.IsTerminal(int(os.Stdin.Fd())) {
		tty, _ = os.Readlink("/proc/self/fd/0")
	}
	for _, o := range [][2]string{
		{"ttyname", tty},
		{"ttytype", os.Getenv("TERM")},
		{"display", os.Getenv("DISPLAY")},
		{"xauthority", os.Getenv("XAUTHORITY")},
		{"lc-ctype", os.Getenv("LC_CTYPE")},
	} {
		if o[1] != "" {
			_, _ = c.call("OPTION " + o[0] + "=" + o[1])
		}
	}
}

// Error is what the agent has against a request.
type Error struct {
	Code int // of libgpg-error, without its source
	Text string
}

// Codes of libgpg-error (err-codes.h.in).
const (
	codeBadPassphrase = 11
	codeNoSecretKey   = 17
	codeTimeout       = 62
	codeNoPinentry    = 85
	codeBadPIN        = 87
	codeCanceled      = 99
	codeNoCard        = 112
	codeCardRemoved   = 110
	codeNoScdaemon    = 119
	codePINBlocked    = 130
	codeFullyCanceled = 198
)

func (e *Error) Error() string {
	switch e.Code {
	case codeBadPassphrase, codeBadPIN:
		return "the passphrase or PIN was wrong; try again"
	case codePINBlocked:
		return "the card's PIN is blocked: gpg --card-edit, then passwd, unblocks it"
	case codeNoSecretKey:
		return "gpg-agent has no private half of it; gpg --list-secret-keys tells what it has (a card must be plugged in)"
	case codeCanceled, codeFullyCanceled:
		return "the question for its passphrase or PIN was canceled"
	case codeNoPinentry:
		return "gpg-agent cannot ask for its passphrase: it finds no pinentry program; install one, or unlock the key before"
	case codeTimeout:
		return "the question for its passphrase or PIN was not answered in time"
	case codeNoCard, codeCardRemoved:
		return "its card is not plugged in"
	case codeNoScdaemon:
		return "gpg-agent cannot talk to cards: scdaemon is not installed"
	}
	return fmt.Sprintf("gpg-agent refuses: %s (%d)", e.Text, e.Code)
}

func refusal(rest string) error {
	code, text, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil {
		return fmt.Errorf("the error %q is not understood", rest)
	}
	return &Error{Code: int(n & 0xffff), Text: text}
}

// escape makes one word of a text (GnuPG: "percent+").
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b.WriteByte('+')
		case c < ' ' || c == '%' || c == '+' || c == 0x7f:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	const room = 900 // of a line
	if b.Len() > room {
		return "ohpc-build+signs+packages"
	}
	return b.String()
}

// unescape undoes what a server must escape in data.
func unescape(s string) []byte {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b, i = append(b, byte(n)), i+2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}
