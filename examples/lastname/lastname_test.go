package lastname_test

import (
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/examples/lastname"
	"github.com/weirfs/weir/weirtest"
)

func TestBefore(t *testing.T) {
	names := lastname.New()
	weirtest.Run(t, func(w *weirtest.World) {
		v := w.Mount("/data")
		w.Must(v.Create("a"), v.Create("b"))
		file, err := v.Handle("a")
		w.Must(err)
		if got := names.Before(v.ID(), file); got != "" {
			t.Errorf("a was %q", got)
		}
		w.Must(v.Rename("a", "c"), v.Rename("c", "b"))
		if got := names.Before(v.ID(), file); got != "c" {
			t.Errorf("b was %q", got)
		}
		w.Must(v.Remove("b"))
		if got := names.Before(v.ID(), file); got != "" {
			t.Errorf("a file that is gone was %q", got)
		}
	}, names.Filter())
	if got := names.Before(1, "x"); got != "" {
		t.Errorf("on a volume that is gone: %q", got)
	}
}

func TestConforms(t *testing.T) {
	weirtest.Conform(t, func() *weir.Filter { return lastname.New().Filter() })
}
