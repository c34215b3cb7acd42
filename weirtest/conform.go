package weirtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// Conform holds a filter to the rules that every filter has to keep to. filter makes a new one each time. work is done on
// volumes besides the suite's own, which does every operation once: whatever has the filter do its own work.
func Conform(t *testing.T, filter func() *weir.Filter, work ...func(*memory.Volume)) {
	for _, r := range rules() {
		loaded := true
		t.Run(r.name, func(t *testing.T) {
			t.Helper()
			synctest.Test(t, func(t *testing.T) {
				loaded = (&trial{filter: filter, work: work, fault: t.Errorf}).run(t.Context(), r)
			})
		})
		if !loaded {
			return // Every other rule would find the same.
		}
	}
}

// rule is what a filter has to keep to, and how that is tried.
type rule struct {
	name string
	try  func(*trial)
}

func rules() []rule {
	return []rule{
		{"names and altitudes are right", (*trial).names},
		{"a volume is taken or declined, whatever it is", (*trial).declines},
		{"nothing is left of an instance that has ended", (*trial).balance},
		{"an instance that has ended is silent", (*trial).silence},
		{"a volume may leave during Setup", (*trial).leavesDuringSetup},
		{"several instances may be on one volume", (*trial).several},
		{"operations may be lost, merged and late", (*trial).loses},
		{"an instance may be detached under operations", (*trial).detachesUnderLoad},
		{"the filter may be unloaded under operations", (*trial).unloadsUnderLoad},
		{"a program may give up", (*trial).givesUp},
		{"a filter that scans says so", (*trial).scans},
		{"programs may come to the port, and leave", (*trial).connects},
		{"the manager may stop at any time", (*trial).stops},
	}
}

// soon is how long what has to end may take.
const soon = 5 * time.Second

// trial is one rule and one filter. It runs in a bubble.
type trial struct {
	*World
	filter func() *weir.Filter
	work   []func(*memory.Volume)
	fault  func(format string, args ...any)
	name   string
	setups atomic.Int32 // that run
	made   atomic.Int32 // instances, by Setup
}

// run tries the rule in a world of its own, and tells whether the filter could be loaded there. ctx is that of the test.
func (c *trial) run(ctx context.Context, r rule) bool {
	f := c.filter()
	if f == nil {
		c.fault("there is no filter")
		return false
	}
	c.name = f.Name
	if setUp := f.Setup; setUp != nil {
		f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			c.setups.Add(1)
			defer c.setups.Add(-1)
			in, err := setUp(ctx, site)
			if err == nil {
				c.made.Add(1)
			}
			return in, err
		}
	}
	c.World = newWorld(ctx, c.fault, func(args ...any) { c.fault("%s", fmt.Sprint(args...)) })
	defer c.close()
	if r.name != rules()[0].name {
		c.Tolerate("altitude-group") // The first rule has said so.
	}
	if err := c.Load(f); err != nil {
		c.fault("it cannot be loaded: %v", err)
		return false
	}
	r.try(c)
	return true
}

// names loads it twice.
func (c *trial) names() {
	again := c.filter()
	if again.Name != c.name {
		c.fault("its name is %s, and then %s: give it one", c.name, again.Name)
	}
	if c.filter() == again {
		c.fault("the same filter is made twice: make a new one each time, it is registered where it is")
	}
	if err := c.Load(again); err == nil {
		c.fault("it is loaded twice")
	}
	c.unload()
	if err := c.Load(again); err != nil {
		c.fault("it cannot be loaded again after it was unloaded: %v", err)
	}
}

// unload unloads the filter, by force if it refuses.
func (c *trial) unload() {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	began := time.Now()
	err := c.Manager.Unload(ctx, c.name, false, "")
	if weir.KindOf(err) == weir.KindRefused {
		err = c.Manager.Unload(context.Background(), c.name, true, "")
	}
	if took := time.Since(began); err != nil || took >= soon {
		c.fault("it is not unloaded after %v: %v", took, err)
		_ = c.Manager.Unload(context.Background(), c.name, true, "")
	}
	c.Settle()
}

// declines mounts volumes of all kinds.
func (c *trial) declines() {
	kinds := map[string]func(*weir.VolumeInfo){
		"an ordinary volume":           func(*weir.VolumeInfo) {},
		"a read-only volume":           func(i *weir.VolumeInfo) { i.ReadOnly = true },
		"a pseudo file system":         func(i *weir.VolumeInfo) { i.Pseudo, i.Identity.FSType = true, "proc" },
		"a volume that is not shown":   func(i *weir.VolumeInfo) { i.Mounts = nil },
		"a volume of another's mounts": func(i *weir.VolumeInfo) { i.Mounts[0].Own, i.Mounts[0].Namespace = false, 2 },
		"a network file system":        func(i *weir.VolumeInfo) { i.Sight, i.SightReason = weir.SightLocal, "others change it" },
		"a volume that tells nothing":  func(i *weir.VolumeInfo) { i.Sight, i.SightReason = weir.SightScan, "FUSE" },
		"a volume without handles":     func(i *weir.VolumeInfo) { i.Handles, i.Identity.RootHandle = false, "" },
		"a volume without identity":    func(i *weir.VolumeInfo) { i.Identity = weir.Identity{}; i.Source = "" },
		"a layer":                      func(i *weir.VolumeInfo) { i.Layer, i.LayerAltitude = true, weir.MustAltitude("139998.99") },
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		made := c.made.Load()
		v := c.MountAs("/mnt", kinds[name])
		if slot := c.Manager.Snapshot().Slot(c.name, v.ID()); slot != nil && slot.State.String() == "failed" {
			if c.made.Load() > made {
				c.fault("what Setup returns cannot be used: %s", slot.Why)
				return
			}
			c.fault("%s is no failure, but a reason to decline: %s; return weir.ErrDecline, wrapped with the reason", name, slot.Why)
		}
		c.Unmount(v)
	}
}

// balance has instances come and go in every way.
func (c *trial) balance() {
	there := len(others())
	for range 2 {
		v, w := c.Mount("/v"), c.Mount("/w")
		c.operate(v)
		c.operate(w)
		c.Remount(v, "/elsewhere", "/twice")
		if err := c.Detach(c.name, "", v); err == nil {
			time.Sleep(soon)
			c.Want(c.name, v, "detached")
			c.Must(c.Attach(c.name, "", v))
		}
		c.operate(v)
		c.Unmount(w)
		c.unload()
		if left := others(); len(left) > there {
			c.fault("%d goroutines are left of instances when the filter was unloaded, one of them:\n%s", len(left)-there, left[len(left)-1])
		}
		c.Unmount(v)
		c.Must(c.Load(c.filter()))
	}
}

// silence waits for what an instance might still do.
func (c *trial) silence() {
	v, w := c.Mount("/v"), c.Mount("/w")
	c.operate(v)
	c.operate(w)
	c.Unmount(w)
	c.operate(w)
	time.Sleep(time.Hour)
	c.unload()
	c.operate(v)
	time.Sleep(time.Hour)
}

// leavesDuringSetup takes volumes away that are being set up.
func (c *trial) leavesDuringSetup() {
	c.BeforeSetup(func(_ context.Context, _ string, site weir.Site) error {
		c.discovery.Unmount(c.InMemory(site.Volume))
		time.Sleep(time.Millisecond) // until the manager knows
		return nil
	})
	c.Mount("/v")
	time.Sleep(soon)
	c.Settle()
	if n := c.setups.Load(); n > 0 {
		c.fault("Setup still runs %v after the volume has left: it has to return when its ctx ends", soon)
	}
	c.BeforeSetup(nil)
}

// loses brings operations to the filter in every way that a plane does.
func (c *trial) loses() {
	v := c.Mount("/v")
	for round := range uint64(4) {
		c.Plane.Hold()
		c.operate(v)
		switch round {
		case 0:
			c.Lose(v)
		case 1:
			c.Plane.Merge(v)
		case 2:
			c.Plane.Shuffle(v, round)
		default:
			c.Plane.Deliver(v, 3)
			c.Lose(v)
		}
		c.Plane.Release()
		c.Settle()
	}
	c.attachedStill(v)
}

// attachedStill finds out whether a filter that was not asked to has gone.
func (c *trial) attachedStill(v *memory.Volume) {
	if state := c.State(c.name, v); state != "attached" && state != "declined" && state != "detached" {
		c.fault("the instance is %s", state)
	}
}

// detachesUnderLoad detaches an instance while operations are below it.
func (c *trial) detachesUnderLoad() {
	v := c.Mount("/v")
	release, begun := c.load(v)
	defer c.finish(release, begun)
	if err := c.Detach(c.name, "", v); err != nil {
		return // it has the right to refuse
	}
	time.Sleep(soon)
	if state := c.State(c.name, v); state == "draining" {
		c.fault("%v after it was to be detached the instance is still there: %s", soon, c.Manager.Snapshot().Slot(c.name, v.ID()).Why)
	}
}

// unloadsUnderLoad unloads the filter while operations are inside it, and below.
func (c *trial) unloadsUnderLoad() {
	v := c.Mount("/v")
	release, begun := c.load(v)
	c.unload()
	c.finish(release, begun)
}

// stops ends everything while operations are inside the filter, and below.
func (c *trial) stops() {
	v := c.Mount("/v")
	release, begun := c.load(v)
	began := time.Now()
	if err := c.Stop(); err != nil {
		c.fault("the manager does not stop within %v: %v", time.Since(began), err)
	}
	c.finish(release, begun)
}

// givesUp ends the programs whose operations are inside the filter, and below.
func (c *trial) givesUp() {
	v := c.Mount("/v")
	for _, hung := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		list := c.each(v)
		if hung {
			v.Obstruct(func(ctx context.Context, _ *weir.Parameters) error { <-ctx.Done(); return ctx.Err() })
		}
		var begun []*Pending
		for _, p := range list {
			begun = append(begun, c.Begin(func() error { return v.Do(ctx, p).Err }))
		}
		cancel()
		time.Sleep(soon)
		for i, p := range begun {
			if !p.Done() {
				c.fault("operation %d has not ended %v after its program has given up", i, soon)
			}
		}
		v.Obstruct(nil)
	}
	c.unload()
}
