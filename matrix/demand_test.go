package matrix_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// TestPackagesOnDemand builds what requires a library that is not in the image.
func TestPackagesOnDemand(t *testing.T) {
	l := newLine(t)
	const compile = "%build\necho '#include <uuid/uuid.h>' | gcc -E - >/dev/null\npkg-config --exists uuid\n" +
		"%install\nmkdir -p %{buildroot}/opt/ohpc/test\necho x > %{buildroot}/opt/ohpc/test/uuid\n%files\n/opt/ohpc/test/uuid"
	l.component("needy", "", "BuildRequires: (absent-devel or libuuid-devel >= 2), pkgconfig", compile)
	l.component("plain", "", "BuildRequires: make", file("plain", "plain"))
	l.component("futile", "", "BuildRequires: libuuid-devel >= 99", file("futile", "futile"))
	r, err := l.new(t).Build(t.Context())
	require.Error(t, err)
	require.Equal(t, report.Built, job(t, r, "needy").Result, job(t, r, "needy").Reason)
	require.Equal(t, report.Built, job(t, r, "plain").Result)
	require.Contains(t, job(t, r, "futile").Reason, "libuuid-devel >= 99 is needed by")

	locks := filepath.Join(l.opt.Out, "report", "locks")
	read := func(recipe string) *resolve.Lock {
		text, err := os.ReadFile(filepath.Join(locks, recipe+"_Debian_12_"+emulate.Host()+".json"))
		require.NoError(t, err)
		lock, err := resolve.ReadLock(text)
		require.NoError(t, err)
		return lock
	}
	require.Empty(t, read("plain").Packages)
	var found bool
	for _, p := range read("needy").Packages {
		require.Equal(t, resolve.KindDeb, p.Kind)
		require.NotEmpty(t, p.Origin.URL)
		found = found || p.Name == "uuid-dev"
	}
	require.True(t, found)
	require.Equal(t, read("plain").Image, read("needy").Image, "the image is everybody's")

	// By the lock, a second build makes the same.
	l.opt.Recipes, l.opt.Locked = []string{"needy"}, locks
	r, err = l.new(t).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Reused, job(t, r, "needy").Result)
	require.Equal(t, report.Pass, r.Checks[0].Result, r.Checks[0].Reason)

	for name, spoil := range map[string]func(*resolve.Lock){
		"the image was":                  func(l *resolve.Lock) { l.Image = store.Of([]byte("other")) },
		"it did not require pkgconfig":   func(l *resolve.Lock) { l.Requires = nil },
		"has no lock of needy/Debian_12": func(l *resolve.Lock) { l.Job = "other/Debian_12/" + emulate.Host() },
	} {
		lock := read("needy")
		spoil(lock)
		text, err := lock.JSON()
		require.NoError(t, err)
		l.opt.Locked = filepath.Join(t.TempDir(), "lock.json")
		require.NoError(t, os.WriteFile(l.opt.Locked, text, 0o600))
		_, err = l.new(t).Build(t.Context())
		var usage *matrix.UsageError
		require.ErrorAs(t, err, &usage)
		require.ErrorContains(t, err, name)
	}
}

// TestWhatWasLinkedOnDemand builds a program with such a library: in the next job's
// build root, and where the packages are tried, it finds the library.
func TestWhatWasLinkedOnDemand(t *testing.T) {
	if emulate.Host() != "x86_64" {
		t.Skip("the library is for x86_64 only")
	}
	l := newLine(t)
	const link = "%build\necho 'int main(void){return 0;}' >p.c\ngcc -o p p.c -Wl,--no-as-needed -lpsm2\n" +
		"%install\nmkdir -p %{buildroot}/opt/ohpc/test\ncp p %{buildroot}/opt/ohpc/test/linked\n%files\n%dir /opt/ohpc\n%dir /opt/ohpc/test\n/opt/ohpc/test/linked"
	l.component("linked", "", "BuildRequires: libpsm2-devel", link)
	l.component("upper", "", "BuildRequires: linked-ohpc", "%build\n/opt/ohpc/test/linked\n"+file("upper", "upper"))
	r, err := l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, report.Built, job(t, r, "upper").Result)
	require.NotEmpty(t, r.Checks)
	for _, c := range r.Checks {
		require.True(t, c.Result == report.Pass || c.Void, c.Reason) // there is nothing to upgrade from
	}
}
