package control

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
)

// TestDeclinedStandsWhileItIsAskedAgain asks a filter again about a volume that it has declined, and looks while it thinks: its
// last answer stands until there is another one, also one that has become stale meanwhile.
func TestDeclinedStandsWhileItIsAskedAgain(t *testing.T) {
	asked, answers := make(chan bool), make(chan error)
	f := filter("slow", "100", everywhere)
	f.Concerns = func(ctx context.Context, _ weir.Volume) error {
		select {
		case asked <- true:
		case <-ctx.Done():
			return ctx.Err()
		}
		return <-answers
	}
	b := begin(t, f)
	declined := func(why string) error { return fmt.Errorf("%w: %s", weir.ErrDecline, why) }
	told := func(state, why string, covered bool) {
		t.Helper()
		c := get[Coverage](b, "/v1/coverage")
		if cell := c.Volumes[0].Cells[0]; cell.State != state || cell.Why != why || c.Covered != covered {
			t.Errorf("told: %+v, faults %q; want %s: %s", cell, c.Faults, state, why)
		}
		if in := b.instance("slow", "slow", 1); in.State != state || in.Why != why {
			t.Errorf("listed: %+v, want %s: %s", in, state, why)
		}
	}
	v := memory.NewVolume(1, "/a")
	b.discovery.Mount(v)
	<-asked
	told("setting up", "the filter has not answered yet", false)
	answers <- declined("first")
	b.await(func(s manager.Snapshot) bool { return s.Slot("slow", 1).State == topology.SlotDeclined })
	told("declined", "first", true)

	b.discovery.Remount(v, "/b")
	<-asked
	told("declined", "first", true)
	b.discovery.Remount(v, "/c")
	b.await(func(s manager.Snapshot) bool { return s.Volumes[0].Info.Mounts[0].Point == "/c" })
	answers <- declined("second")
	<-asked
	told("declined", "second", true)
	answers <- errors.New("it is sick")
	b.await(func(s manager.Snapshot) bool { return s.Slot("slow", 1).State == topology.SlotFailed })
	<-asked
	told("setting up", "the filter has not answered yet", false)
	answers <- nil
	b.await(func(s manager.Snapshot) bool { return s.Slot("slow", 1).State == topology.SlotAttached })
	told("attached", "", true)
}
