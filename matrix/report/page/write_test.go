package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/page"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
)

var parts = regexp.MustCompile(`(?s)content="(default-src [^"]*)".*<style>(.*)</style>.*<script type="application/json" id="data">(.*)</script>\n<script>(.*)</script>\n</body>\n</html>\n$`)

// TestForeignWordsStayInTheirPlace looks at the file itself: whatever a run holds,
// the page has its own two scripts and nothing else, and loads nothing.
func TestForeignWordsStayInTheirPlace(t *testing.T) {
	r := reporttest.Sample()
	r.Jobs[0].Reason = reporttest.HostileReason + " {{script}} {{policy}} \u2028"
	r.Jobs[0].Recipe = reporttest.HostilePackage
	r.Release = "<!--<script>"
	var sb strings.Builder
	require.NoError(t, page.Write(&sb, r, map[string]*excerpt.Excerpt{"</script>": {Text: "</SCRIPT ><style>"}}))
	text := sb.String()

	require.Equal(t, 2, strings.Count(strings.ToLower(text), "</script"))
	require.NotContains(t, strings.ToLower(text), "<!--")
	m := parts.FindStringSubmatch(text)
	require.NotNil(t, m)
	policy, style, data, script := m[1], m[2], m[3], m[4]
	require.Equal(t, "default-src 'none'; script-src '"+hash(script)+"'; style-src '"+hash(style)+"'; connect-src 'self'; base-uri 'none'; form-action 'none'", policy)
	var back struct{ Run report.Run }
	require.NoError(t, json.Unmarshal([]byte(data), &back))
	require.Equal(t, r.Jobs[0].Reason, back.Run.Jobs[0].Reason)

	for _, loads := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "import("} {
		require.NotContains(t, script, loads, "words go in as text")
	}
	require.NotRegexp(t, `url\(|@import`, style, "nothing is loaded from elsewhere")
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestThePageOfVeryManyJobsHasThoseThatRan(t *testing.T) {
	r := reporttest.Sample()
	ran := 0
	for _, j := range r.Jobs {
		if j.Result != report.Reused && j.Result != report.Shared {
			ran++
		}
	}
	for i := range 30_000 {
		r.Jobs = append(r.Jobs, report.Job{ID: fmt.Sprintf("old-%d/x", i), Result: report.Reused})
	}
	var b bytes.Buffer
	require.NoError(t, page.Write(&b, r, nil))
	require.Less(t, b.Len(), 200_000)
	require.NotContains(t, b.String(), "old-17")
	_, data, _ := strings.Cut(b.String(), `id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	var doc struct {
		Run     report.Run
		Omitted map[report.Outcome]int
	}
	require.NoError(t, json.Unmarshal([]byte(data), &doc))
	require.Len(t, doc.Run.Jobs, ran)
	require.Equal(t, len(r.Jobs), ran+doc.Omitted[report.Reused]+doc.Omitted[report.Shared])
}
