package recipes_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

func TestTagVersion(t *testing.T) {
	for tag, want := range map[string]string{
		"3.7": "3.7", "v3.7": "3.7", "V3.7": "3.7", "v3": "3", "warewulf-3.7": "3.7", "warewulf3-3.7": "3.7", "release/v3.7.1": "3.7.1",
		"rel/warewulf_3.7": "3.7", "v3.8-rc1": "3.8~rc1", "3.8rc1": "3.8~rc1", "3.8.rc.1": "3.8~rc1", "3.8~rc2": "3.8~rc2",
		"v3.8.0-beta.2": "3.8.0~beta2", "3.8pre": "3.8~pre", "4.0.0-alpha": "4.0.0~alpha", "V4-RC1": "4~rc1", "2024a": "2024a", "v1.0-rc.1.2": "1.0~rc1.2", "3_8_rc1": "3_8~rc1", "rel/2024-3.8_rc.1": "2024.3.8~rc1",
		"1.0.2k": "1.0.2k", "3.7-1": "3.7.1", "v3-1": "3.1", "1.20.1+git": "1.20.1+git",
	} {
		got, ok := recipes.TagVersion(tag)
		require.True(t, ok, tag)
		require.Equal(t, want, got, tag)
	}
	for _, tag := range []string{"", "stable", "v", "nightly-", "3.7 final", "3.7^1", "3:1", "3.7%{x}", "a3.7", "3.7\n", "３.7", "1~2~3"} {
		got, ok := recipes.TagVersion(tag)
		require.False(t, ok, "%s is %s", tag, got)
	}
}

// Tags are strangers' words, and their versions go into specs and file names.
func FuzzTagVersion(f *testing.F) {
	for _, tag := range []string{"v3.7", "warewulf-3.7", "release/2024-3.8_rc.1", "3.8~rc1", "3.7%{x}", "V4-RC1\n"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		v, ok := recipes.TagVersion(tag)
		if !ok {
			return
		}
		require.Regexp(t, `^[0-9][0-9A-Za-z._+]*(~[0-9A-Za-z._+]+)?$`, v)
		again, ok := recipes.TagVersion(v)
		require.True(t, ok, v)
		require.Zero(t, rpm.CompareVersions(v, again), "%q is %q is %q", tag, v, again)
	})
}

func TestVersionsOfALock(t *testing.T) {
	lock := func(tag string, since int) recipes.Lock {
		return recipes.Lock{
			Commit: "74ad08d123456789012345678901234567890123", Tag: tag, Since: since, Total: 1207,
			Date: recipes.Timestamp{Time: time.Date(2017, 8, 30, 1, 0, 0, 0, time.FixedZone("", 7200))},
		}
	}
	for name, tt := range map[string]struct {
		lock           recipes.Lock
		next           string
		plain, counted string
	}{
		"before a release":           {lock("v3.7", 12), "3.8", "3.8~git20170829.74ad08d", "3.8~1207.git20170829.74ad08d"},
		"after a release":            {lock("v3.7", 12), "", "3.7^git20170829.74ad08d", "3.7^12.git20170829.74ad08d"},
		"a release":                  {lock("v3.7", 0), "", "3.7", "3.7"},
		"the release before":         {lock("v3.7", 0), "3.8", "3.7", "3.7"},
		"the next one is out":        {lock("v3.8", 12), "3.8", "3.8^git20170829.74ad08d", "3.8^12.git20170829.74ad08d"},
		"a later one is out":         {lock("v3.9", 12), "3.8", "3.9^git20170829.74ad08d", "3.9^12.git20170829.74ad08d"},
		"no release yet":             {lock("", 1207), "", "0~git20170829.74ad08d", "0~1207.git20170829.74ad08d"},
		"before the first release":   {lock("", 1207), "0.1", "0.1~git20170829.74ad08d", "0.1~1207.git20170829.74ad08d"},
		"a candidate":                {lock("v3.8-rc1", 0), "", "3.8~rc1", "3.8~rc1"},
		"after a candidate":          {lock("v3.8-rc1", 12), "", "3.8~rc1^git20170829.74ad08d", "3.8~rc1^12.git20170829.74ad08d"},
		"a candidate on the way":     {lock("v3.8-rc1", 0), "3.8", "3.8~git20170829.74ad08d", "3.8~1207.git20170829.74ad08d"},
		"after one, still on theway": {lock("v3.8-rc1", 12), "3.8", "3.8~git20170829.74ad08d", "3.8~1207.git20170829.74ad08d"},
	} {
		plain, counted, err := tt.lock.Versions(tt.next)
		require.NoError(t, err, name)
		require.Equal(t, []string{tt.plain, tt.counted}, []string{plain, counted}, name)
		if plain != counted {
			require.Equal(t, -1, rpm.CompareVersions(plain, counted), "a history that is counted from now on goes on upwards")
		}
	}
	bad := lock("stable", 1)
	_, _, err := bad.Versions("")
	require.EqualError(t, err, `tag "stable" does not name a version`)
}
