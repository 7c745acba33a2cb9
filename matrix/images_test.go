package matrix

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/images"
)

// TestWhoseFaultAnImageIs decides with which status the program ends.
func TestWhoseFaultAnImageIs(t *testing.T) {
	m := &Matrix{opt: Options{State: t.TempDir(), Out: t.TempDir()}}
	mistake := fmt.Errorf("validating: %w", &images.TargetError{Err: errors.New("target x has no bootstrap")})
	err := m.explain(mistake)
	require.ErrorAs(t, err, new(*UsageError))
	require.EqualError(t, err, mistake.Error())
	lacking := &host.Error{Problems: []error{errors.New("mmdebstrap is not installed")}}
	require.Equal(t, error(lacking), m.explain(lacking))
}
