package guard_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/weirfs/weir/examples/guard"
	"github.com/weirfs/weir/weirtest"
)

func TestKeeps(t *testing.T) {
	weirtest.Run(t, func(w *weirtest.World) {
		w.Must(w.Load(guard.Filter()))
		v := w.Mount("/data")
		w.Must(v.Create("a.keep"), v.Write("a.keep"), v.Create("b"))
		for _, err := range []error{v.Remove("a.keep"), v.Rename("a.keep", "c"), v.Rename("b", "a.keep")} {
			if !errors.Is(err, syscall.EPERM) {
				t.Errorf("error %v", err)
			}
		}
		w.Must(v.Rename("b", "c"), v.Remove("c"), w.Unload("guard"), v.Remove("a.keep"))
	})
}

func TestConforms(t *testing.T) { weirtest.Conform(t, guard.Filter) }
