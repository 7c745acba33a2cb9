package standing_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// TestNumber publishes one thing after the other, and asks what the next one's number
// would be.
func TestNumber(t *testing.T) {
	r := newReleased(t)
	var warnings bytes.Buffer
	log := slog.New(slog.NewTextHandler(&warnings, nil))
	number := func(c layout.Channel, told string) int {
		t.Helper()
		p := r.pointer()
		p.Channel = c
		got, err := standing.Number(r.tree, p, told, log)
		require.NoError(t, err)
		require.Equal(t, told, got.Told)
		again, err := standing.Number(r.tree, p, told, log)
		require.NoError(t, err)
		require.Equal(t, got, again)
		return got.Serial
	}
	note := func(s snapshot.Snapshot, told string, serial int) {
		t.Helper()
		d := document(s.ID, supported("x86_64"))
		d.Told, d.Serial = told, serial
		b, err := d.Encode()
		require.NoError(t, err)
		require.NoError(t, r.tree.Note(t.Context(), "EL_9", s.ID, b))
	}
	move := func(c layout.Channel, s snapshot.Snapshot) {
		t.Helper()
		require.NoError(t, r.tree.Move(t.Context(), publishtest.To(t, r.tree, c, s)))
	}
	a, b, c := r.made("1"), r.made("2"), r.made("3")

	require.Zero(t, number(layout.Release, ""), "nothing is carried")
	require.Zero(t, number(layout.Release, "A"), "the first one")
	note(a, "A", 0)
	require.Zero(t, number(layout.Release, "A"), "it was tried and not published")
	require.Equal(t, 1, number(layout.Release, "B"))
	move(layout.Release, a)
	require.Zero(t, number(layout.Release, "A"), "the same again")
	require.Zero(t, number(layout.Factory, "A"), "the same elsewhere")

	note(b, "B", 1)
	move(layout.Factory, b)
	require.Equal(t, 1, number(layout.Factory, "B"))
	require.Equal(t, 2, number(layout.Factory, "A"), "what comes back is newer")
	require.Zero(t, number(layout.Release, "A"))
	require.Equal(t, 1, number(layout.Release, "B"))
	require.Equal(t, 2, number(layout.Release, "C"), "it is to be newer than in every channel")

	note(c, "A", 2)
	move(layout.Release, c)
	require.Equal(t, 2, number(layout.Release, "A"))
	move(layout.Release, a) // a rollback
	require.Zero(t, number(layout.Release, "A"))
	require.Equal(t, 3, number(layout.Release, "B"), "some have what was rolled back")

	note(b, "B", 2) // two runs at once
	require.Equal(t, 3, number(layout.Staging, "A"), "one number for two things stands for neither")
	require.Equal(t, 3, number(layout.Staging, "B"))

	// What an older program noted may be anything.
	note(c, "", 0)
	note(b, "", 0)
	require.Equal(t, 1, number(layout.Staging, "A"))
	require.Equal(t, 1, number(layout.Staging, "B"))
	require.Empty(t, warnings.String())

	require.NoError(t, r.tree.Note(t.Context(), "EL_9", c.ID, []byte(`{"version": 1, "serial": 9223372036854775807}`)))
	require.Equal(t, 1, number(layout.Staging, "B"))
	require.Contains(t, warnings.String(), "9223372036854775807 cannot be a serial number")
	move(layout.Release, c)
	_, err := standing.Number(r.tree, r.pointer(), "B", log)
	require.ErrorContains(t, err, "cannot be a serial number")
}

func TestTell(t *testing.T) {
	require.Empty(t, standing.Tell(nil))
	one := standing.Tell(map[string][]byte{"a": []byte("1"), "b": []byte("2")})
	require.True(t, strings.HasPrefix(one, "sha256:"))
	require.Equal(t, one, standing.Tell(map[string][]byte{"b": []byte("2"), "a": []byte("1")}))
	for _, other := range []map[string][]byte{
		{"a": []byte("2"), "b": []byte("1")}, {"a": []byte("1")}, {"a": []byte("12"), "b": nil}, {"a": []byte("1"), "c": []byte("2")},
	} {
		require.NotEqual(t, one, standing.Tell(other))
	}
}
