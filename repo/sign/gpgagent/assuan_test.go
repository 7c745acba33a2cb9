package gpgagent

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

func TestSignature(t *testing.T) {
	for in, want := range map[string]string{
		"(7:sig-val(3:rsa(1:s4:ab)()))":                                       "ab)(",
		"(7:sig-val(5:eddsa(1:r2:ab)(1:s1:c)))":                               strings.Repeat("\x00", 30) + "ab" + strings.Repeat("\x00", 31) + "c",
		"(7:sig-val(3:rsa(1:s1:a)(4:hash6:sha256)))":                          "a",
		"(7:sig-val(5:ecdsa(1:r2:ab)(1:s1:c)))":                               `error: of the kind "ecdsa"`,
		"(7:sig-val(5:eddsa(1:r33:" + strings.Repeat("a", 33) + ")(1:s1:c)))": "error: not one of Ed25519",
		"":                                     "error: not an S-expression",
		"(7:sig-val(3:rsa(1:s5:ab)))":          "error: not an S-expression",
		"(7:sig-val(3:rsa(1:s9999999999:ab)))": "error: not an S-expression",
		"(7:sig-val(3:rsa":                     "error: not an S-expression",
		"(7:sig-val(3:rsa((":                   "error: not an S-expression",
		"(10:public-key(3:rsa(1:s1:a)))":       "error: not an S-expression",
	} {
		got, err := signature([]byte(in))
		if problem, ok := strings.CutPrefix(want, "error: "); ok {
			require.ErrorContains(t, err, problem, in)
			continue
		}
		require.NoError(t, err, in)
		require.Equal(t, want, string(got), in)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add([]byte("(7:sig-val(5:eddsa(1:r2:ab)(1:s1:c)))"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = signature(b) })
}

func TestEscape(t *testing.T) {
	require.Equal(t, "a+b%0Ac%2Bd%25", escape("a b\nc+d%"))
	require.Equal(t, "ohpc-build+signs+packages", escape(strings.Repeat("x", 2000)))
	require.Equal(t, "a%\n\x00b%4", string(unescape("a%25%0A%00b%4")))
}

// TestHostileServer reads answers that no agent gives.
func TestHostileServer(t *testing.T) {
	for answer, says := range map[string]string{
		"":                      "EOF",
		"OK\nOK":                "EOF",
		"HELLO\n":               `the answer "HELLO" is not understood`,
		"ERR x\n":               "is not understood",
		"OK\nERR 1 General\n":   "gpg-agent refuses: General (1)",
		"OK\nERR 67108881 No\n": "no private half",
		"OK\n" + strings.Repeat("x", 2000) + "\n":                          "a line that is too long",
		"OK\n" + strings.Repeat("D "+strings.Repeat("x", 900)+"\n", 100):   "the answer is too long",
		"OK\n" + strings.Repeat("S progress\n", 2000):                      "the answer has no end",
		"OK\nINQUIRE PASSPHRASE\n# a comment\nS status\nERR 99 canceled\n": "was canceled",
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		require.NoError(t, err)
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write([]byte(answer))
				_ = c.(*net.UnixConn).CloseWrite()
			}
		}()
		c, err := dial(t.Context(), socket)
		if err == nil {
			_, err = c.call("PKSIGN")
			c.close()
		}
		require.ErrorContains(t, err, says)
		require.NoError(t, l.Close())
	}
	_, err := (&conn{}).call("PKSIGN\nRESET")
	require.ErrorContains(t, err, "malformed")
}

// TestHostileAgent signs with agents that do not answer, or not with a signature by
// the key.
func TestHostileAgent(t *testing.T) {
	key, err := sign.Generate(sign.Params{Name: "Agent", Algorithm: sign.Ed25519})
	require.NoError(t, err)
	stale := "(7:sig-val(5:eddsa(1:r32:" + strings.Repeat("r", 32) + ")(1:s32:" + strings.Repeat("\x01", 32) + ")))"
	for name, tt := range map[string]struct {
		answers map[string]string // to a command, or to all others
		want    string
	}{
		"silent":          {map[string]string{"": ""}, "did not answer in time"},
		"silent later":    {map[string]string{"PKSIGN": ""}, "did not answer in time"},
		"half a line":     {map[string]string{"PKSIGN": "O"}, "did not answer in time"},
		"always busy":     {map[string]string{"PKSIGN": strings.Repeat("S PROGRESS busy\n", 900)}, "did not answer in time"},
		"an endless line": {map[string]string{"SIGKEY": strings.Repeat("x", 64<<20)}, "a line that is too long"},
		"endless data":    {map[string]string{"PKSIGN": strings.Repeat("D "+strings.Repeat("x", 900)+"\n", 64<<10)}, "the answer is too long"},
		"nothing":         {map[string]string{"PKSIGN": "OK\n"}, "not an S-expression"},
		"zeros":           {map[string]string{"PKSIGN": "D (7:sig-val(5:eddsa(1:r1:0)(1:s1:0)))\nOK\n"}, sign.ErrWrongSignature.Error()},
		"an empty one":    {map[string]string{"PKSIGN": "D (7:sig-val(3:rsa))\nOK\n"}, sign.ErrWrongSignature.Error()},
		"of another key":  {map[string]string{"PKSIGN": "D " + stale + "\nOK\n"}, sign.ErrWrongSignature.Error()},
		"of another kind": {map[string]string{"PKSIGN": "D (7:sig-val(3:rsa(1:s1:0)))\nOK\n"}, sign.ErrWrongSignature.Error()},
		"by ECDSA":        {map[string]string{"PKSIGN": "D (7:sig-val(5:ecdsa(1:r1:0)(1:s1:0)))\nOK\n"}, "rsa and eddsa (Ed25519) can be used"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &agent{socket: serve(t, tt.answers), grip: strings.Repeat("0", 40)}
			behind, err := sign.NewKey(bytes.NewReader(key.PublicKey()), a)
			require.NoError(t, err)
			patience := 20 * time.Second
			if strings.Contains(tt.want, "in time") {
				patience = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			plain := rpmtest.Simple("agent", "1", "1", "noarch").Bytes()
			require.ErrorContains(t, behind.SignPackage(ctx, bytes.NewReader(plain), int64(len(plain)), io.Discard, time.Time{}), tt.want)
		})
	}
}

// serve is the socket of a server with these answers to the commands that it is
// given, OK to those that it has none for, and the one to "" before any.
func serve(t *testing.T, answers map[string]string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	talk := func(c net.Conn) {
		defer c.Close()
		for command, in := "", bufio.NewScanner(c); ; command, _, _ = strings.Cut(in.Text(), " ") {
			answer, ok := answers[command]
			if !ok {
				answer = "OK\n"
			}
			if _, err := io.WriteString(c, answer); err != nil || !in.Scan() {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go talk(c)
		}
	}()
	return socket
}

// TestSilentAgent does not wait for ever for an agent that is asked for its key.
func TestSilentAgent(t *testing.T) {
	for _, silent := range []string{"", "HAVEKEY"} {
		a := &agent{socket: serve(t, map[string]string{silent: ""}), grip: strings.Repeat("0", 40)}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		require.ErrorContains(t, a.has(ctx), "did not answer in time")
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		require.ErrorIs(t, a.has(ctx), context.Canceled)
	}
}

// TestSocket finds the agent of a user whom gpgconf takes for another one.
func TestSocket(t *testing.T) {
	rpmtest.Tool(t, "gpgconf")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GNUPGHOME", "")
	require.NoError(t, os.Unsetenv("GNUPGHOME"))
	runtime := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	own := filepath.Join(runtime, "gnupg", "S.gpg-agent")
	path, err := socket(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, own, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(own), 0o700))
	require.NoError(t, os.WriteFile(own, nil, 0o600))
	path, err = socket(t.Context())
	require.NoError(t, err)
	require.Equal(t, own, path)
	t.Setenv("GNUPGHOME", t.TempDir())
	path, err = socket(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, own, path, "who names a home means it")
}
