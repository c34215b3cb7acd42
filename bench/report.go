package main

import (
	"fmt"
	"slices"
	"time"
)

func report(what, who, result string) {
	fmt.Printf("  %-36s %-28s %s\n", what, who, result)
}

// versus prints the median in milliseconds, its range, and how it compares.
func versus(times, base []float64, name string) string {
	return fmt.Sprintf("%.0f ms (%.0f to %.0f), %.2f x %s", median(times), slices.Min(times), slices.Max(times),
		median(times)/median(base), name)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns the smallest value that at least the share q of all values does not exceed.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }
