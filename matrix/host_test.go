package matrix

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpace(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, checkSpace(dir, 1))
	err := checkSpace(dir, 1<<60)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "GiB free, a run wants 1073741824.0")
	require.ErrorContains(t, err, "--state")
	require.Error(t, checkSpace(dir+"/absent", 1))
}
