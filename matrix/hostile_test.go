package matrix_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// TestSpecsThatAttackWhoeverReadsThem has specs whose shell runs when they are parsed.
func TestSpecsThatAttackWhoeverReadsThem(t *testing.T) {
	l := newLine(t)
	attack := func(name, shell string) {
		l.component(name, "needs:\n  memory: 256MiB\n  disk: 128MiB\n  time: 1m\n", "%global attack %("+shell+")", "%files")
	}
	attack("floods", "yes >&2")
	attack("fills", "for d in . /tmp /var/tmp /evaluate; do cat /dev/zero > $d/zeros; done")
	attack("eats", "tail /dev/zero")
	l.component("beside", "", "", "%files")
	r, err := l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.Contains(t, job(t, r, "floods").Reason, "rpmspec was ended before it had an answer")
	require.Contains(t, job(t, r, "fills").Reason, "ended by its disk limit of 128 MiB")
	// rpm does not mind that a macro's shell was killed.
	require.Equal(t, report.Built, job(t, r, "eats").Result)
	log, err := os.ReadFile(filepath.Join(l.opt.Out, "report", job(t, r, "eats").Log))
	require.NoError(t, err)
	require.Contains(t, string(log), "it may lack something: the kernel killed 2 of its processes for memory")
	require.Equal(t, report.Built, job(t, r, "beside").Result, "others do not suffer")
}
