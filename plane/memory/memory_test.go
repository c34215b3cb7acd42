package memory_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/plane/planetest"
)

func TestConformance(t *testing.T) {
	var ids atomic.Uint64
	fixture := planetest.Fixture{
		Plane: func(*testing.T) weir.Plane { return new(memory.Plane) },
		Volume: func(*testing.T) planetest.Volume {
			id := ids.Add(1)
			return memory.NewVolume(weir.VolumeID(id), fmt.Sprint("/mnt/", id))
		},
		Unmount: func(_ *testing.T, v planetest.Volume) { new(memory.Discovery).Unmount(v.(*memory.Volume)) },
		Open:    func(v planetest.Volume, name string) (planetest.File, error) { return v.(*memory.Volume).Open(name) },
	}
	planetest.Run(t, fixture)
	planetest.RunIntercepting(t, fixture)
}

func names(s *planetest.Sink) string {
	var list []string
	for _, op := range s.Operations() {
		list = append(list, op.Name+":"+op.Ops.String())
	}
	return strings.Join(list, " ")
}

func TestHeldOperations(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*memory.Plane, *memory.Volume)
		want string
	}{
		"hold":    {func(*memory.Plane, *memory.Volume) {}, ""},
		"deliver": {func(p *memory.Plane, v *memory.Volume) { p.Deliver(v, 1) }, "a:create"},
		"release": {func(p *memory.Plane, _ *memory.Volume) { p.Release() }, "a:create a:modify|close b:create a:delete"},
		"merge":   {func(p *memory.Plane, v *memory.Volume) { p.Merge(v); p.Release() }, "a:create|delete|modify|close b:create"},
		"drop":    {func(p *memory.Plane, v *memory.Volume) { p.Drop(v, "test"); p.Release() }, ""},
		"shuffle": {func(p *memory.Plane, v *memory.Volume) { p.Shuffle(v, 1); p.Release() }, "a:modify|close b:create a:create a:delete"},
	} {
		p, v, s := new(memory.Plane), memory.NewVolume(1, "/m"), planetest.NewSink()
		if _, err := p.Attach(t.Context(), v, weir.Demand{Ops: weir.Changes}, s); err != nil {
			t.Fatal(err)
		}
		p.Hold()
		if err := errors.Join(v.Create("a"), v.Write("a"), v.Create("b"), v.Remove("a")); err != nil {
			t.Fatal(err)
		}
		tt.do(p, v)
		if got := names(s); got != tt.want {
			t.Errorf("%s: told %q, want %q", name, got, tt.want)
		}
		if lost := len(s.Losses()); lost > 0 != (name == "drop") {
			t.Errorf("%s: %d losses", name, lost)
		}
	}
}

func TestLeaseIsRevoked(t *testing.T) {
	v, d := memory.NewVolume(1, "/m"), new(memory.Discovery)
	lease, err := v.Borrow(t.Context(), "/m/sub")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Borrow(t.Context(), "/mother"); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("borrowed a path elsewhere: %v", err)
	}
	d.Unmount(v)
	<-lease.Done()
	if err := lease.Close(); err != nil || v.Borrowed() != 0 {
		t.Errorf("error %v, %d leases out", err, v.Borrowed())
	}
}
