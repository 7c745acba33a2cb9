package debian

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestMirrorsIn(t *testing.T) {
	require.Equal(t, []string{"http://one/debian", "https://two/debian", "https://three/debian"}, mirrorsIn(`I: using /tmp/x as tempdir
deb http://one/debian bookworm main
deb http://one/debian bookworm-updates main
deb [signed-by="/a key"] https://two/debian bookworm main contrib
deb [arch=amd64] https://three/debian bookworm main
deb-src http://four/debian bookworm main
deb nonsense bookworm main
deb [ bookworm
deb
E: command failed
`, "bookworm"))
	require.Empty(t, mirrorsIn("", "bookworm"))
}

// TestDefaultMirrors asks the real mmdebstrap, which needs no network for that.
func TestDefaultMirrors(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "mmdebstrap")
	mirrors, err := defaultMirrors(t.Context(), "bookworm")
	require.NoError(t, err)
	require.NotEmpty(t, mirrors)
	_, err = defaultMirrors(t.Context(), "--help")
	require.ErrorContains(t, err, "is not the name of a suite")
}
