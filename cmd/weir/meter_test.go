package main

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	var m meter
	start := time.Unix(1000, 0)
	for i, step := range []struct {
		at          time.Duration
		bytes, want int64
	}{
		{0, 1000, 0},
		{500, 1000, 0},
		{1000, 2000, 1000}, // 1000 bytes in the second since the first reading.
		{2000, 4000, 1500},
		{2500, 4000, 1500}, // What is older than two seconds counts no more,
		{3000, 4000, 1000},
		{4500, 4000, 0},
		{14500, 24000, 2000}, // unless there is nothing younger.
	} {
		if got := m.rate(start.Add(step.at*time.Millisecond), step.bytes); got != step.want {
			t.Errorf("step %d: %d bytes a second, want %d", i, got, step.want)
		}
	}
}
