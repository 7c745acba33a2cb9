package cache

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// FuzzRecords puts anything into records of all kinds: collecting never fails, and
// never touches what is not the cache's.
func FuzzRecords(f *testing.F) {
	hex := strings.Repeat("0", 64)
	for _, seed := range []string{
		`{}`, `null`, `[]`, `"sha256:` + hex + `"`, `{"digest":"","manifest":"sha256:","layers":[{"blob":"x","diff_id":"sha256:../../keys"}]}`,
		`{"layers":["..","../../keys","keys/..",".",""]}`, `{"layers":{"0":1}}`, `[{"digest":"sha256:..\/..\/x"}]`, `[[[[`, `{"run":1}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, value string, whole bool) {
		s := newState(t)
		s.file("layers/images/"+hex+"/x", 1)
		s.file("layers/roots/a/x", 1)
		for kind := range kinds {
			if json.Valid([]byte(value)) && whole {
				s.record(kind, "x", json.RawMessage(value))
				continue
			}
			path := filepath.Join(s.dir, "store/records", kind, store.RecordID("x")+".json")
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(value), 0o644))
		}
		s.collect(Limits{}, false)
		done := s.collect(Limits{MaxBytes: 1}, false)
		require.Positive(t, done.After)
		c, err := Open(s.dir)
		require.NoError(t, err)
		list, err := c.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, done.After, list.Bytes)
		for _, dir := range []string{"keys", "layers/images", "layers/roots", "store/objects", "store/records"} {
			require.DirExists(t, filepath.Join(s.dir, dir))
		}
	})
}
