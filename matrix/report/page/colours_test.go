package page_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

var variable = regexp.MustCompile(`--([a-z-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\);`)

// TestColoursAreToldApart computes contrasts of what is written in which colour on which,
// the timeline's canvas too, which a browser cannot be asked about (WCAG 2.2, 1.4.3).
func TestColoursAreToldApart(t *testing.T) {
	css, err := os.ReadFile("page.css")
	require.NoError(t, err)
	colours := map[string][2]string{}
	for _, m := range variable.FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	require.Len(t, colours, 20, "each is a pair of light and dark")
	type pair struct{ text, back string }
	var pairs []pair
	for _, text := range []string{"text", "faint", "accent", "built", "reused", "shared", "skip", "fail", "warn"} {
		for _, back := range []string{"back", "panel", "raised"} {
			pairs = append(pairs, pair{text, back})
		}
	}
	for _, result := range []string{"built", "reused", "shared", "skip", "fail", "warn"} {
		pairs = append(pairs, pair{result, result + "-back"})
	}
	for _, bar := range []string{"built", "reused", "shared", "skip", "fail"} {
		pairs = append(pairs, pair{"back", bar}) // names in the timeline
	}
	pairs = append(pairs, pair{"text", "hit"}, pair{"fail", "hit"}, pair{"back", "accent"}, pair{"text", "fail-back"})
	for _, p := range pairs {
		for scheme, name := range []string{"light", "dark"} {
			text, back := colours[p.text][scheme], colours[p.back][scheme]
			require.GreaterOrEqual(t, contrast(t, text, back), 4.5, fmt.Sprintf("%s on %s in the %s", p.text, p.back, name))
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// luminance is that of WCAG 2.2 of a colour as six hexadecimal digits.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	require.NoError(t, err)
	part := func(shift int) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}
