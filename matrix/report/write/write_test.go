package write_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
	"github.com/ohpc-build/ohpc-build/matrix/report/write"
)

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	first := reporttest.Sample()
	require.NoError(t, write.Folder(dir, first))
	require.Nil(t, first.Previous, "there was no run before")

	second := reporttest.Sample()
	second.Jobs[3].Result = report.Built
	second.Close(second.Started)
	require.NoError(t, write.Folder(dir, second))
	require.Equal(t, []string{"scotch@gnu12/Debian_12/aarch64"}, second.Previous.Mended)
	back, err := report.Read(dir)
	require.NoError(t, err)
	require.Equal(t, second.Previous.Mended, back.Previous.Mended)

	known := reporttest.Sample()
	known.Previous = &report.Previous{Gone: []string{"x"}}
	require.NoError(t, write.Folder(dir, known))
	require.Equal(t, []string{"x"}, known.Previous.Gone, "what the run knows is not overwritten")

	// A report that cannot be read does not keep a new one from being written.
	require.NoError(t, os.WriteFile(filepath.Join(dir, report.Name), []byte("{"), 0o644))
	require.NoError(t, write.Folder(dir, reporttest.Sample()))

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"index.html", "junit.xml", "matrix.json", "trace.json"}, names, "nothing half-written is left")
}
