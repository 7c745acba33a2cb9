package gpgagent

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
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
