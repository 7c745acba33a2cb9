package binary_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	of "github.com/ohpc-build/ohpc-build/validate/content/binary"
)

// entry is an entry of a cpio archive.
func entry(name string, mode int, content string) string {
	pad := func(s string) string { return s + strings.Repeat("\x00", -len(s)&3) }
	return pad(fmt.Sprintf("070701%08X%08X%024X%08X%08X%032X%08X%08X%s\x00", 0, mode, 0, 0, len(content), 0, len(name)+1, 0, name)) + pad(content)
}

func cpio(entries ...string) string {
	return strings.Join(entries, "") + entry("TRAILER!!!", 0, "")
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func xzed(t testing.TB, s string) string {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	require.NoError(t, err)
	_, err = io.WriteString(w, s)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func zstded(t testing.TB, s string) string {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return string(w.EncodeAll([]byte(s), nil))
}

// unpacked are the names and heads of what is inside, in order.
func unpacked(b string, room int64) (found []string, err error) {
	err = of.Unpack(context.Background(), strings.NewReader(b), &room, func(in of.Inner) error {
		found = append(found, fmt.Sprintf("%s %o %.10s", in.Name, in.Mode, in.Head))
		return nil
	})
	return found, err
}

func TestUnpack(t *testing.T) {
	const file, folder, link = 0o100755, 0o40755, 0o120777
	root := cpio(entry(".", folder, ""), entry("./init", file, "#!/bin/sh\n"), entry("bin", link, "usr/bin"), entry("/usr/lib/x.ko.xz", file, xzed(t, "the module")), entry("last", file, ""))
	inRoot := []string{" 40755 ", "init 100755 #!/bin/sh\n", "bin 120777 usr/bin", "usr/lib/x.ko.xz 100755 the module", "last 100755 "}
	early := cpio(entry("kernel/x86/microcode/GenuineIntel.bin", file, "microcode"))
	inEarly := []string{"kernel/x86/microcode/GenuineIntel.bin 100755 microcode"}
	both := slices.Concat(inEarly, inRoot)
	zeros := strings.Repeat("\x00", 1500)
	nested := "innermost"
	for range 8 {
		nested = gzipped(nested)
	}
	for name, tc := range map[string]struct {
		file  string
		want  []string
		fault string
	}{
		"a module of gzip":           {gzipped("the module"), []string{" 0 the module"}, ""},
		"a module of xz":             {xzed(t, "the module"), []string{" 0 the module"}, ""},
		"a module of zstd":           {zstded(t, "the module"), []string{" 0 the module"}, ""},
		"an archive":                 {root, inRoot, ""},
		"padded":                     {root + zeros, inRoot, ""},
		"of gzip":                    {gzipped(root), inRoot, ""},
		"one after the other":        {early + root, both, ""},
		"zeros between them":         {early + zeros + root + zeros, both, ""},
		"microcode, then gzip":       {early + gzipped(root), both, ""},
		"microcode, zeros, xz":       {early + zeros + xzed(t, root), both, ""},
		"microcode, then zstd":       {early + zstded(t, root), both, ""},
		"two of gzip":                {gzipped(early) + gzipped(root), both, ""},
		"cut":                        {root[:len(root)-400], inRoot[:3], "EOF"},
		"cut while packed":           {gzipped(root)[:len(gzipped(root))-20], nil, "EOF"},
		"something behind it":        {early + "something", inEarly, "what follows the end of its archive is none"},
		"no number":                  {strings.Replace(root, "000081ED", "0000x1ED", 1), inRoot[:1], "no number"},
		"no header":                  {entry("a", file, "x") + "not a header" + zeros, []string{"a 100755 x"}, "has no header"},
		"a long name":                {entry(strings.Repeat("n", 5000), file, ""), nil, "a name of 5001 bytes"},
		"a member that is broken":    {cpio(entry("a.gz", file, "\x1f\x8b\x08broken"), entry("b", file, "whole")), []string{"b 100755 whole"}, "cannot be unpacked"},
		"deeper than anybody packs":  {nested, []string{" 0 \x1f\x8b\x08"}, ""},
		"more than may be looked at": {gzipped(strings.Repeat("x", 2<<20)), nil, ""},
		"a large one of zeros":       {gzipped(cpio(entry("zeros", file, strings.Repeat("\x00", 2<<20)), entry("b", file, "b"))), []string{"zeros 100755 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}, "more than is looked into"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := unpacked(tc.file, 1<<20)
			if tc.fault != "" {
				require.ErrorIs(t, err, of.ErrPacked)
				require.ErrorContains(t, err, tc.fault)
			} else {
				require.NoError(t, err)
			}
			switch name {
			case "cut while packed": // as far as it came
				require.Subset(t, inRoot, got)
			case "deeper than anybody packs", "more than may be looked at":
				require.Len(t, got, 1)
			default:
				require.Equal(t, tc.want, got)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	room := int64(1 << 20)
	require.ErrorIs(t, of.Unpack(ctx, strings.NewReader(gzipped(root)), &room, func(of.Inner) error { return nil }), context.Canceled)
	require.ErrorIs(t, of.Unpack(t.Context(), strings.NewReader(gzipped(root)), &room, func(of.Inner) error { return io.ErrNoProgress }), io.ErrNoProgress)
	fault := io.MultiReader(strings.NewReader(root[:200]), &failingReader{})
	require.ErrorIs(t, of.Unpack(t.Context(), fault, &room, func(of.Inner) error { return nil }), os.ErrClosed, "a disk's fault is not the archive's")
}

type failingReader struct{}

func (*failingReader) Read([]byte) (int, error) { return 0, os.ErrClosed }

// TestUnpackReal reads what the real tools write: rpm2cpio is the one that writes
// archives where packages are made.
func TestUnpackReal(t *testing.T) {
	testenv.Programs(t, "rpm2cpio", "xz", "gzip")
	pkg := filepath.Join(t.TempDir(), "x.rpm")
	file, err := os.Create(pkg)
	require.NoError(t, err)
	require.NoError(t, write.Write(file, write.Package{
		Name: "x", Version: "1", Release: "1", Arch: "noarch", Summary: "s", License: "MIT", Description: "d", SourceRPM: "x-1-1.src.rpm",
		BuildTime: time.Unix(1700000000, 0), BuildHost: "h",
		Files: []write.File{{Path: "/init", Mode: 0o100755, Data: []byte("#!/bin/sh\n")}, {Path: "/linuxrc", Mode: 0o120777, LinkTo: "init"}},
	}))
	require.NoError(t, file.Close())
	for _, pack := range []string{"cat", "gzip -9", "xz --check=crc32", "xz --check=crc32 --lzma2=dict=1MiB"} {
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", `(rpm2cpio "$1"; rpm2cpio "$1") | `+pack, "pack", pkg).Output()
		require.NoError(t, err)
		got, err := unpacked(string(out), 1<<20)
		require.NoError(t, err, pack)
		one := []string{"init 100755 #!/bin/sh\n", "linuxrc 120777 init"}
		require.Equal(t, slices.Concat(one, one), got, pack)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(cpio(entry("a", 0o100755, "b")) + "\x00\x00" + gzipped(cpio(entry("c", 0o120777, "d")))))
	f.Add([]byte(xzed(f, "\x7fELF")))
	f.Add([]byte(zstded(f, cpio(entry("./x.ko.gz", 0o100644, gzipped("y"))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		const all = 1 << 20
		room, visits := int64(all), 0
		err := of.Unpack(t.Context(), bytes.NewReader(b), &room, func(in of.Inner) error {
			visits++
			require.LessOrEqual(t, len(in.Head), of.HeadSize)
			require.LessOrEqual(t, len(in.Name), 4096)
			return nil
		})
		if err != nil {
			require.ErrorIs(t, err, of.ErrPacked)
		}
		require.GreaterOrEqual(t, room, int64(0))
		require.LessOrEqual(t, int64(visits), int64(len(b))+all/100+1, "an entry takes its bytes")
	})
}
