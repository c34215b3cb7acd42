//go:build !race

package manager_test

import "testing"

// The race detector has pools drop objects at random.
func TestFiltersAllocateNothing(t *testing.T) {
	buffer := make([]byte, 100)
	allocations := func(n int) float64 {
		f := reading(t, n)
		return testing.AllocsPerRun(1000, func() { _, _ = f.ReadAt(buffer, 0) })
	}
	if with, without := allocations(8), allocations(0); with != without {
		t.Errorf("a read through 8 filters allocates %v times, without them %v times", with, without)
	}
}
