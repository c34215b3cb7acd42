package manager_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
)

func one(before func(context.Context, weir.Volume) error) func(*log) []*weir.Filter {
	return func(l *log) []*weir.Filter { return []*weir.Filter{spyFilter(l, "f", "100", before)} }
}

// gate is a channel that is made inside the bubble, where waiting for it lets time pass.
type gate struct{ c chan struct{} }

func gated(g *gate, before func(context.Context, weir.Volume) error) func(*log) []*weir.Filter {
	return func(l *log) []*weir.Filter {
		g.c = make(chan struct{})
		return one(before)(l)
	}
}

func TestVolumeFromMountToUnmount(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: setup 1")
		_ = v.Create("a")
		_ = v.Chmod("a") // not wanted
		_ = v.Write("a")
		b.want(t, "f@1: create a", "f@1: modify a")
		b.discovery.Remount(v, "/elsewhere")
		b.want(t, "f@1: changed")
		b.plane.Drop(v, "overflow")
		b.want(t, "f@1: lost: overflow")
		b.discovery.Unmount(v)
		b.want(t, "f@1: teardown 0")
		b.wantState(t, "f", 1, "none")
	})
}

func TestCompletedGoesFromLowToHigh(t *testing.T) {
	simulate(t, func(l *log) []*weir.Filter {
		return []*weir.Filter{spyFilter(l, "low", "99.5", nil), spyFilter(l, "high", "100", nil)}
	}, func(t *testing.T, b *bench) {
		v := b.mount(1)
		synctest.Wait()
		b.log.take()
		_ = v.Create("a")
		b.want(t, "low@1: create a", "high@1: create a")
	})
}

func TestOperationsDuringSetupAreDeliveredAfterIt(t *testing.T) {
	var goOn gate
	simulate(t, gated(&goOn, func(_ context.Context, v weir.Volume) error {
		if err := v.(*memory.Volume).Create("early"); err != nil {
			return err
		}
		<-goOn.c
		return nil
	}), func(t *testing.T, b *bench) {
		v := b.mount(1)
		synctest.Wait()
		_ = v.Create("meanwhile")
		b.discovery.Remount(v, "/elsewhere")
		b.want(t)
		close(goOn.c)
		synctest.Wait()
		if got := b.log.take(); !strings.HasPrefix(got, "f@1: setup 1\n") || !strings.Contains(got, "f@1: create early\nf@1: create meanwhile") || !strings.Contains(got, "f@1: changed") {
			t.Errorf("told:\n%s", got)
		}
	})
}

func TestHungVolumeDelaysNoOther(t *testing.T) {
	var goOn gate
	simulate(t, gated(&goOn, func(_ context.Context, v weir.Volume) error {
		if v.ID() == 1 {
			<-goOn.c
		}
		return nil
	}), func(t *testing.T, b *bench) {
		b.mount(1)
		b.mount(2)
		b.want(t, "f@2: setup 1")
		b.wantState(t, "f", 1, "setting up")
		time.Sleep(31 * time.Second)
		b.wantState(t, "f", 1, "failed")
		if slot := b.Snapshot().Slot("f", 1); !slot.Hung || !strings.Contains(slot.Why, "timeout") {
			t.Errorf("slot is %+v", slot)
		}
		time.Sleep(time.Hour) // not tried again while it is out
		b.want(t)
		close(goOn.c)
		b.want(t, "f@1: setup 1")
		b.wantState(t, "f", 1, "attached")
	})
}

func TestFailedSetupIsTriedAgain(t *testing.T) {
	tries := 0
	simulate(t, one(func(context.Context, weir.Volume) error {
		if tries++; tries < 3 {
			return errors.New("disk on fire")
		}
		return nil
	}), func(t *testing.T, b *bench) {
		b.mount(1)
		b.want(t, "f@1: disk on fire")
		b.wantState(t, "f", 1, "failed")
		time.Sleep(99 * time.Millisecond)
		b.want(t)
		time.Sleep(2 * time.Millisecond)
		b.want(t, "f@1: disk on fire")
		time.Sleep(200 * time.Millisecond)
		b.want(t, "f@1: setup 1")
		b.wantState(t, "f", 1, "attached")
	})
}

func TestDetachIsSticky(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		v := b.mount(1)
		synctest.Wait()
		if err := b.Detach(t.Context(), "f", "", 1, "operator"); err != nil {
			t.Fatal(err)
		}
		b.want(t, "f@1: setup 1", "f@1: teardown 1")
		b.discovery.Remount(v, "/elsewhere")
		b.discovery.Miss("overflow")
		b.wantState(t, "f", 1, "detached")
		if err := b.Attach("f", "", 1); err != nil {
			t.Fatal(err)
		}
		b.want(t, "f@1: setup 2")
		if err := b.Attach("f", "f", 7); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("attach to no volume: %v", err)
		}
	})
}

func TestVolumesThatWereMissedAreFound(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.want(t, "f@1: setup 1")
		b.discovery.Unmount(v)
		b.mount(2)
		b.discovery.Miss("overflow")
		synctest.Wait()
		lines := strings.Split(b.log.take(), "\n")
		slices.Sort(lines)
		if got := strings.Join(lines, ", "); got != "f@1: teardown 0, f@2: setup 0" {
			t.Errorf("told %s", got)
		}
	})
}

func TestUnsupportedVolumeIsScanned(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		v := memory.NewVolume(1, "/mnt")
		v.Refuse(&weir.Error{Op: "attach", Kind: weir.KindUnsupported, Err: errors.New("no handles")})
		b.discovery.Mount(v)
		b.want(t, "f@1: setup 1")
		if l := b.Snapshot().Volumes[0].Links[0]; l.State.String() != "unsupported" || !strings.Contains(l.Why, "no handles") {
			t.Errorf("volume is %+v", l)
		}
		v.Refuse(nil)
		b.discovery.Remount(v, "/elsewhere")
		synctest.Wait()
		if got := b.log.take(); !strings.Contains(got, "f@1: lost: the volume is observed only from now on") || !strings.Contains(got, "f@1: changed") {
			t.Errorf("told:\n%s", got)
		}
	})
}

// TestFailuresAreToldOnce retries for a while: the operator reads of a failure once, and of a volume that cannot be
// reached because others hide it, only when looking for it.
func TestFailuresAreToldOnce(t *testing.T) {
	for _, test := range []struct {
		kind  weir.Kind
		level string
	}{{weir.KindFailed, "level=WARN"}, {weir.KindAbsent, "level=DEBUG"}} {
		simulate(t, one(nil), func(t *testing.T, b *bench) {
			v := memory.NewVolume(1, "/mnt")
			v.Refuse(&weir.Error{Op: "attach", Kind: test.kind, Err: errors.New("no luck")})
			b.discovery.Mount(v)
			time.Sleep(time.Minute)
			told := b.logged.take()
			if strings.Count(told, "no luck") != 1 || !strings.Contains(told, test.level) {
				t.Errorf("told, where one line with %s is wanted:\n%s", test.level, told)
			}
			v.Refuse(nil)
			time.Sleep(time.Minute)
			b.want(t, "f@1: setup 1")
		})
	}
}

func TestFiltersComeAndGo(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		b.mount(1)
		b.want(t, "f@1: setup 1")
		if err := b.Start(spyFilter(&b.log, "g", "200", nil)); err != nil {
			t.Fatal(err)
		}
		b.want(t, "g@1: setup 0")
		if err := b.Unload(t.Context(), "f", false, ""); err != nil {
			t.Fatal(err)
		}
		b.want(t, "f@1: teardown 2")
		for _, bad := range []*weir.Filter{
			{Name: "x"}, spyFilter(&b.log, "g", "1", nil), spyFilter(&b.log, "x", "200.0", nil),
			{Name: "x", Setup: spyFilter(&b.log, "x", "1", nil).Setup, Wants: 1 << 20},
		} {
			if err := b.Start(bad); err == nil {
				t.Errorf("started %+v", bad)
			}
		}
	})
}

// A filter that comes above a layer is in a frame of its own, whose marks are its own too.
func TestFramesAboveAndBelowALayer(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		lower, layer := b.mount(1), memory.NewVolume(2, "/layer")
		layer.Stack(weir.MustAltitude("500"), 1)
		b.discovery.Mount(layer)
		b.want(t, "f@1: setup 1")
		if err := b.Start(spyFilter(&b.log, "above", "900", nil)); err != nil {
			t.Fatal(err)
		}
		b.wantAnyOrder(t, "above@1: setup 0", "above@2: setup 0")
		s := b.Snapshot()
		if slot := s.Slot("f", 2); slot.State != topology.SlotExcluded || !strings.Contains(slot.Why, "500") {
			t.Errorf("below the layer: %+v", slot)
		}
		if len(s.Frames) != 2 || s.Slot("above", 1).Frame != 1 || s.Slot("f", 1).Frame != 0 {
			t.Errorf("frames %+v, slots %+v", s.Frames, s.Slots)
		}
		_ = lower.Create("a")
		b.want(t, "f@1: create a", "above@1: create a")
		_ = layer.Create("b")
		b.want(t, "above@2: create b")
	})
}

func TestShutdownTearsEverythingDown(t *testing.T) {
	simulate(t, one(nil), func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.mount(2)
		synctest.Wait()
		b.log.take()
		b.stop()
		if err := <-b.ended; err != nil {
			t.Error(err)
		}
		got := b.log.take()
		if !strings.Contains(got, "f@1: teardown 3") || !strings.Contains(got, "f@2: teardown 3") {
			t.Errorf("told:\n%s", got)
		}
		_ = v.Create("late")
		b.mount(3)
		b.want(t)
	})
}

func TestShutdownIsBoundedAndNamesWhatHangs(t *testing.T) {
	var goOn gate
	simulate(t, gated(&goOn, func(context.Context, weir.Volume) error { <-goOn.c; return nil }), func(t *testing.T, b *bench) {
		b.mount(1)
		synctest.Wait()
		began := time.Now()
		b.stop()
		err := <-b.ended
		if err == nil || !strings.Contains(err.Error(), "set up: filter f on volume 1 (memory1) has not ended") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		close(goOn.c)
	})
}

func TestOptionsAreChecked(t *testing.T) {
	l := new(log)
	good := manager.Options{Discovery: new(memory.Discovery), Planes: []weir.Plane{new(memory.Plane)}}
	twice := good
	twice.Filters = []*weir.Filter{spyFilter(l, "f", "1", nil), spyFilter(l, "f", "2", nil)}
	for name, o := range map[string]manager.Options{"nothing": {}, "no plane": {Discovery: good.Discovery}, "name twice": twice} {
		if _, err := manager.New(o); weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
