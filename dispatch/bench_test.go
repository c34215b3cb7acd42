package dispatch

import (
	"context"
	"fmt"
	"testing"

	"github.com/weirfs/weir"
)

func stackOf(n int) *rig {
	r := newRig()
	for i := range n {
		r.instance(fmt.Sprint(100+i), create, create, new(script))
	}
	return r
}

var nothing = lower(func(context.Context, *weir.Parameters) weir.Result { return weir.Result{} })

func BenchmarkOperation(b *testing.B) {
	for _, n := range []int{0, 1, 8} {
		r := stackOf(n)
		var low weir.Lower = nothing
		b.Run(fmt.Sprint("filters=", n), func(b *testing.B) {
			p := creation()
			b.ReportAllocs()
			for b.Loop() {
				r.Do(b.Context(), p, low)
			}
		})
		b.Run(fmt.Sprint("filters=", n, "/parallel"), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				ctx, p := context.Background(), creation()
				for pb.Next() {
					r.Do(ctx, p, low)
				}
			})
		})
	}
}
