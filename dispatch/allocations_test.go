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
		for _, in := range r.list.Load().all {
			in.skips = skips{weir.SkipFiles, 1}
		}
		if allocations := testing.AllocsPerRun(1000, func() { r.Do(ctx, p, low) }); allocations != 0 {
			t.Errorf("an operation past %d filters allocates %v times", n, allocations)
		}
	}
}

// quiet is an instance that keeps nothing.
type quiet struct{ recording }

func (*quiet) Completed([]weir.Operation) {}

func TestPickingAllocatesNothing(t *testing.T) {
	b := newInbox()
	b.skips = skips{weir.SkipDirs, 1}
	b.open(new(quiet))
	batch := append(ops("a", "b"), weir.Operation{Ops: weir.OpCreate, Name: "d", IsDir: true}, weir.Operation{Ops: weir.OpDelete, Name: "e"})
	if allocations := testing.AllocsPerRun(1000, func() { b.deliver(batch) }); allocations != 0 {
		t.Errorf("operations of which some are wanted allocate %v times", allocations)
	}
}
