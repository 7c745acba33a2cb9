package signature

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/validate"
)

// host runs commands on the host, whose rpm and GnuPG are as good as an image's.
type host struct{ missing string }

// Run implements [validate.Container].
func (h host) Run(ctx context.Context, c validate.Command) error {
	var there, back []string
	for _, m := range c.Mounts {
		there, back = append(there, m.Destination, m.Source), append(back, m.Source, m.Destination)
	}
	args := append([]string(nil), c.Args...)
	for i := 3; i < len(args); i++ { // after the script
		args[i] = strings.NewReplacer(there...).Replace(args[i])
	}
	if h.missing != "" {
		args[2] = strings.ReplaceAll(args[2], h.missing, "not-"+h.missing)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	out, err := cmd.CombinedOutput()
	_, _ = io.WriteString(c.Output, strings.NewReplacer(back...).Replace(string(out)))
	return err
}

// reader is our own reader with one key.
type reader struct{ *sign.Keyring }

func (r reader) Package(ctx context.Context, path string) error {
	_, err := r.VerifyPackageFile(ctx, path)
	return err
}

func (r reader) Detached(message, signature io.Reader) error {
	return r.VerifyDetached(message, signature)
}

func newKey(t *testing.T, name string) *sign.Key {
	t.Helper()
	key, err := sign.Generate(sign.Params{Name: name, Email: "test@example.org"})
	require.NoError(t, err)
	return key
}

func TestCheck(t *testing.T) {
	rpmtest.Tool(t, "rpmkeys")
	rpmtest.Tool(t, "gpg")
	ours, other := newKey(t, "Ours"), newKey(t, "Other")
	keyring, err := sign.ReadKeyring(bytes.NewReader(ours.PublicKey()))
	require.NoError(t, err)
	root := t.TempDir()
	at := time.Unix(1700000000, 0)
	if at.Before(ours.Created()) {
		at = ours.Created()
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(root, name)
		require.NoError(t, os.WriteFile(path, b, 0o644))
		return path
	}
	signed := func(name string, key *sign.Key) []byte {
		in := rpmtest.Simple(strings.TrimSuffix(name, ".rpm"), "1", "1", "noarch").Write(t, name)
		out := filepath.Join(t.TempDir(), name)
		require.NoError(t, key.SignPackageFile(t.Context(), in, out, at))
		b, err := os.ReadFile(out)
		require.NoError(t, err)
		return b
	}
	good := signed("good.rpm", ours)
	write("good.rpm", good)
	write("it's; $(good).rpm", good)
	write("unsigned.rpm", rpmtest.Simple("unsigned", "1", "1", "noarch").Bytes())
	write("other.rpm", signed("other.rpm", other))
	payload := bytes.Clone(good)
	payload[len(payload)-1] ^= 1
	write("payload.rpm", payload)
	header := bytes.Replace(bytes.Clone(good), []byte("Summary of good"), []byte("Summary of evil"), 1)
	require.NotEqual(t, good, header)
	write("header.rpm", header)
	write("short.rpm", good[:200])
	write("empty.rpm", nil)

	repomd := write("repomd.xml", []byte("<repomd/>"))
	var detached bytes.Buffer
	require.NoError(t, ours.SignDetached(&detached, strings.NewReader("<repomd/>"), at))
	repo := Repository{
		Key: write("key", ours.PublicKey()), Root: root, Repomd: repomd, Signature: write("repomd.xml.asc", detached.Bytes()),
		Packages: []string{"good.rpm", "it's; $(good).rpm"},
	}
	r, err := Check(t.Context(), reader{keyring}, host{}, repo)
	require.NoError(t, err)
	require.Equal(t, &Report{Packages: 2}, r)

	repo.Packages = append(repo.Packages, "unsigned.rpm", "other.rpm", "payload.rpm", "header.rpm", "short.rpm", "empty.rpm")
	r, err = Check(t.Context(), reader{keyring}, host{}, repo)
	require.NoError(t, err)
	byFile := map[string]map[string]string{}
	for _, p := range r.Problems {
		if byFile[p.File] == nil {
			byFile[p.File] = map[string]string{}
		}
		byFile[p.File][p.By] = p.Reason
	}
	require.Len(t, byFile, 6, "%v", r.Problems)
	for file, want := range map[string][2]string{ // our words and rpm's
		"unsigned.rpm": {"not signed", "not signed"},
		"other.rpm":    {"not trusted", "NOKEY"},
		"payload.rpm":  {"promise", "BAD"},
		"header.rpm":   {"", "BAD"},
		"short.rpm":    {"", ""},
		"empty.rpm":    {"", ""},
	} {
		require.Len(t, byFile[file], 2, "both see it: %s %v", file, byFile[file])
		require.Contains(t, byFile[file][Own], want[0], file)
		require.Contains(t, byFile[file][RPMKeys], want[1], file)
	}

	t.Run("metadata", func(t *testing.T) {
		repo := repo
		repo.Packages = nil
		for name, tc := range map[string]struct {
			signature []byte
			by        []string
		}{
			"of another key":   {signatureOf(t, other, "<repomd/>", at), []string{Own, GPG}},
			"of another text":  {signatureOf(t, ours, "<repomd />", at), []string{Own, GPG}},
			"of nothing":       {[]byte("-----BEGIN"), []string{Own, GPG}},
			"that is absent":   {nil, []string{Own}},
			"that is as it is": {detached.Bytes(), nil},
		} {
			t.Run(name, func(t *testing.T) {
				repo.Signature = filepath.Join(t.TempDir(), "asc")
				if tc.signature != nil {
					require.NoError(t, os.WriteFile(repo.Signature, tc.signature, 0o644))
				}
				r, err := Check(t.Context(), reader{keyring}, host{}, repo)
				require.NoError(t, err)
				var by []string
				for _, p := range r.Problems {
					require.Equal(t, "repodata/repomd.xml", p.File)
					by = append(by, p.By)
				}
				require.Equal(t, tc.by, by, "%v", r.Problems)
			})
		}
	})
	t.Run("no GnuPG", func(t *testing.T) {
		repo := repo
		repo.Packages = nil
		r, err := Check(t.Context(), reader{keyring}, host{missing: "command -v gpg"}, repo)
		require.NoError(t, err)
		require.Empty(t, r.Problems)
		require.Len(t, r.Notes, 1)
	})
	t.Run("no key", func(t *testing.T) {
		repo := repo
		repo.Key = write("nokey", []byte("nothing"))
		repo.Repomd = ""
		_, err := Check(t.Context(), reader{keyring}, host{}, repo)
		require.ErrorContains(t, err, "the key cannot be imported")
	})
	t.Run("names", func(t *testing.T) {
		repo := repo
		repo.Packages = []string{"a\n.rpm"}
		_, err := Check(t.Context(), reader{keyring}, host{}, repo)
		require.ErrorContains(t, err, "is no file name")
	})
}

func signatureOf(t *testing.T, key *sign.Key, text string, at time.Time) []byte {
	t.Helper()
	if at.Before(key.Created()) {
		at = key.Created()
	}
	var b bytes.Buffer
	require.NoError(t, key.SignDetached(&b, strings.NewReader(text), at))
	return b.Bytes()
}

// TestOtherVersions are the words of rpm's other versions.
func TestOtherVersions(t *testing.T) {
	for text, want := range map[string]string{
		"/srv/signed/a.rpm:\n    Header V3 RSA/SHA256 Signature, key ID 26c7a9a9: OK\n    Header SHA1 digest: OK\n    MD5 digest: OK\n": "",
		"/srv/signed/a.rpm:\n    Header OpenPGP V4 RSA/SHA256 signature, key fingerprint: 0123: OK\n    Payload SHA256 digest: OK\n":    "",
		"/srv/signed/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 0123: NOKEY\n    Payload SHA256 digest: OK\n":                   "Header V4 RSA/SHA256 Signature, key ID 0123: NOKEY",
		"/srv/signed/a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID 0123: OK\n    Payload SHA256 digest: BAD (Expected 1 != 2)\n":   "Payload SHA256 digest: BAD (Expected 1 != 2)",
		"/srv/signed/a.rpm:\n    Header SHA256 digest: OK\n":                                                                            "it is not signed",
		"": "rpmkeys says nothing of it",
		"error: not an rpm package\n/srv/signed/b.rpm:\n    Header V4 Signature: OK\n": "rpmkeys says nothing of it",
		"/srv/signed/a.rpm:\nerror: /srv/signed/a.rpm: Package header is not signed\n": "error: /srv/signed/a.rpm: Package header is not signed",
	} {
		require.Equal(t, want, parse(text, []string{"a.rpm"})["a.rpm"].problem(), text)
	}
}
