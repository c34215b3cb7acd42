//go:build !race

package dispatch

import (
	"context"
	"testing"

	"github.com/weirfs/weir"
)

// The race detector has pools drop objects at random.
func TestOperationsAllocateNothing(t *testing.T) {
	for _, n := range []int{0, 1, 8} {
		r, p := stackOf(n), creation()
		var low weir.Lower = nothing
		ctx := context.Background()
		if allocations := testing.AllocsPerRun(1000, func() { r.Do(ctx, p, low) }); allocations != 0 {
			t.Errorf("an operation through %d filters allocates %v times", n, allocations)
		}
	}
}
