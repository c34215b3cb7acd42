package tally_test

import (
	"maps"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/examples/tally"
	"github.com/weirfs/weir/weirtest"
)

func TestCount(t *testing.T) {
	count := tally.New()
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		w.Must(v.Mkdir("a"), v.Create("a/b"), v.Chmod("a/b"), v.Rename("a", "c"))
		got, more, err := count.Count(t.Context(), v.ID())
		if want := map[string]int{"/": 2, "/c": 2}; err != nil || more || !maps.Equal(got, want) {
			t.Errorf("counted %v, %v, %v; want %v", got, more, err, want)
		}
		w.Lose(v)
		if _, more, _ := count.Count(t.Context(), v.ID()); !more {
			t.Error("it does not know that something was lost")
		}
		w.Unmount(v)
		if _, _, err := count.Count(t.Context(), v.ID()); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("error %v", err)
		}
	}, count.Filter())
}

func TestConforms(t *testing.T) {
	weirtest.Conform(t, func() *weir.Filter { return tally.New().Filter() })
}
