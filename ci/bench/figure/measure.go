package figure

import (
	"slices"
	"time"
)

// Median measures n runs, at least one, and returns the one in the middle, in
// seconds: of an even number the mean of the two.
func Median(n int, run func() (time.Duration, error)) (float64, error) {
	var times []time.Duration
	for range max(1, n) {
		d, err := run()
		if err != nil {
			return 0, err
		}
		times = append(times, d)
	}
	return Middle(times), nil
}

// Middle is the median of times, in seconds; 0 of none.
func Middle(times []time.Duration) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	i := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[i].Seconds()
	}
	return (sorted[i-1] + sorted[i]).Seconds() / 2
}
