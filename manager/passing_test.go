package manager_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"pgregory.net/rapid"
)

// The model: volumes and filters come and go, instances are attached and detached by hand, while programs write on every
// volume. Whenever everything rests, an operation has to pass exactly the instances that ought to be there, from high to
// low and back.

// passage notes what one operation has met.
type passage struct {
	mu  sync.Mutex
	met map[string][]string // by name of the file
}

func (p *passage) note(file, step string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.met != nil {
		p.met[file] = append(p.met[file], step)
	}
}

// post is one instance of the model, which checks that it is used as promised.
type post struct {
	t     *rapid.T
	w     *world
	label string
	torn  atomic.Bool
}

func (p *post) check() {
	if p.torn.Load() {
		p.w.fail("%s is called after its teardown", p.label)
	}
}

func (p *post) Pre(ctx context.Context, c weir.Call) weir.PreStatus {
	p.check()
	p.w.passage.note(c.Parameters().Name, "+"+p.label)
	c.Keep(p)
	if len(c.Parameters().Name)%3 == 0 {
		go func() { _ = c.ResumePre(weir.PreContinue) }()
		return weir.PrePend
	}
	return weir.PreContinue
}

func (p *post) Post(_ context.Context, c weir.Call) weir.PostStatus {
	p.check()
	if c.Kept() != p {
		p.w.fail("%s finds %v", p.label, c.Kept())
	}
	if !c.Draining() {
		p.w.passage.note(c.Parameters().Name, "-"+p.label)
	}
	return weir.PostFinished
}

func (p *post) Completed([]weir.Operation) { p.check() }
func (p *post) Lost(string)                { p.check() }
func (p *post) Changed()                   {}
func (p *post) Teardown(context.Context, weir.TeardownReason) {
	if p.torn.Swap(true) {
		p.w.fail("%s is torn down twice", p.label)
	}
	p.w.alive.Add(-1)
}

// world is a manager, and what ought to be.
type world struct {
	*manager.Manager
	discovery memory.Discovery
	passage   passage
	alive     atomic.Int64
	faults    chan string

	volumes  map[weir.VolumeID]*memory.Volume
	filters  map[string]*weir.Filter
	detached map[string]bool // "instance@volume"
	nextID   weir.VolumeID
	writers  sync.WaitGroup
	quiet    map[weir.VolumeID]chan struct{} // closed to end the writer of a volume
}

func (w *world) fail(format string, args ...any) {
	select {
	case w.faults <- fmt.Sprintf(format, args...):
	default:
	}
}

// mount mounts a volume and has a program write on it.
func (w *world) mount() {
	w.nextID++
	v := memory.NewVolume(w.nextID, fmt.Sprint("/mnt/", w.nextID))
	w.volumes[w.nextID] = v
	end := make(chan struct{})
	w.quiet[w.nextID] = end
	w.discovery.Mount(v)
	w.writers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			name := fmt.Sprint("w", i%1000)
			if err := errors.Join(v.Create(name), v.Write(name), v.Remove(name)); err != nil && weir.KindOf(err) != weir.KindAbsent {
				w.fail("write on volume %d: %v", v.ID(), err)
			}
		}
	})
}

func (w *world) unmount(id weir.VolumeID) {
	w.discovery.Unmount(w.volumes[id])
	close(w.quiet[id])
	delete(w.volumes, id)
}

// start starts a filter of one or two instances.
func (w *world) start(t *rapid.T, altitude int, two, after bool) {
	name := fmt.Sprint("f", altitude)
	if w.filters[name] != nil {
		return
	}
	f := &weir.Filter{Name: name, Altitude: weir.MustAltitude(fmt.Sprint(altitude)), Before: everything, Wants: weir.OpCreate}
	if after {
		f.After = everything
	}
	if two {
		f.Instances = []weir.Definition{
			{Name: name, Altitude: f.Altitude}, {Name: name + "b", Altitude: weir.MustAltitude(fmt.Sprint(altitude, ".5"))},
		}
	}
	f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
		w.alive.Add(1)
		return &post{t: t, w: w, label: site.Instance.Name}, nil
	}
	if err := w.Start(f); err != nil {
		t.Fatal(err)
	}
	w.filters[name] = f
}

func (w *world) unload(t *rapid.T, name string, mandatory bool) {
	if err := w.Unload(t.Context(), name, mandatory, ""); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.filters[name].Definitions() {
		maps.DeleteFunc(w.detached, func(key string, _ bool) bool {
			return slices.ContainsFunc(slices.Collect(maps.Keys(w.volumes)), func(id weir.VolumeID) bool { return key == fmt.Sprint(d.Name, "@", id) })
		})
	}
	delete(w.filters, name)
}

// toggle detaches an instance, or attaches it again.
func (w *world) toggle(t *rapid.T, filter, instance string, id weir.VolumeID) {
	key := fmt.Sprint(instance, "@", id)
	err := error(nil)
	if w.detached[key] {
		err = w.Attach(filter, instance, id)
	} else {
		err = w.Detach(t.Context(), filter, instance, id, "model")
	}
	switch {
	case weir.KindOf(err) == weir.KindAbsent && err != nil: // the manager has not been told of the volume yet
	case err != nil:
		t.Fatal(err)
	default:
		w.detached[key] = !w.detached[key]
	}
}

// ought returns the instances on a volume from high to low, and whether they have a Post.
func (w *world) ought(id weir.VolumeID) (way []string) {
	type at struct {
		weir.Definition
		after bool
	}
	var list []at
	for _, f := range w.filters {
		for _, d := range f.Definitions() {
			if !w.detached[fmt.Sprint(d.Name, "@", id)] {
				list = append(list, at{d, f.After != 0})
			}
		}
	}
	slices.SortFunc(list, func(a, b at) int { return b.Altitude.Compare(a.Altitude) })
	for _, a := range list {
		way = append(way, "+"+a.Name)
	}
	for _, a := range slices.Backward(list) {
		if a.after {
			way = append(way, "-"+a.Name)
		}
	}
	return way
}

// rest waits until nothing moves, and probes every volume.
func (w *world) rest(t *rapid.T, round int) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := w.Wait(ctx, func(s manager.Snapshot) bool {
		known := len(s.Volumes) == len(w.volumes)
		for _, v := range s.Volumes {
			known = known && w.volumes[v.Info.ID] != nil
		}
		return known && s.Settled()
	})
	if err != nil {
		t.Fatalf("it does not rest: %+v", w.Snapshot().Slots)
	}
	probe := fmt.Sprint("probe", round)
	w.passage.mu.Lock()
	w.passage.met = map[string][]string{}
	w.passage.mu.Unlock()
	for id, v := range w.volumes {
		name := fmt.Sprint(probe, ".", id)
		if err := v.Create(name); err != nil {
			t.Fatal(err)
		}
		w.passage.mu.Lock()
		met := w.passage.met[name]
		w.passage.mu.Unlock()
		if want := w.ought(id); !slices.Equal(met, want) {
			t.Fatalf("an operation on volume %d met %q, want %q", id, met, want)
		}
	}
	w.passage.mu.Lock()
	w.passage.met = nil
	w.passage.mu.Unlock()
	for _, f := range w.Snapshot().Filters {
		if f.Stats.Failures != 0 {
			t.Fatalf("filter %s: %+v", f.Name, f.Stats)
		}
	}
	select {
	case fault := <-w.faults:
		t.Fatal(fault)
	default:
	}
}

func (w *world) step(t *rapid.T) {
	volumes, filters := slices.Sorted(maps.Keys(w.volumes)), slices.Sorted(maps.Keys(w.filters))
	switch what := rapid.SampledFrom([]string{"mount", "unmount", "start", "start", "unload", "toggle", "toggle"}).Draw(t, "step"); {
	case what == "mount":
		w.mount()
	case what == "start":
		w.start(t, rapid.IntRange(1, 9).Draw(t, "altitude"), rapid.Bool().Draw(t, "two"), rapid.Bool().Draw(t, "after"))
	case len(filters) > 0 && what == "unload":
		w.unload(t, rapid.SampledFrom(filters).Draw(t, "filter"), rapid.Bool().Draw(t, "mandatory"))
	case len(volumes) == 0:
	case what == "unmount":
		w.unmount(rapid.SampledFrom(volumes).Draw(t, "volume"))
	case len(filters) > 0 && what == "toggle":
		f := w.filters[rapid.SampledFrom(filters).Draw(t, "filter")]
		w.toggle(t, f.Name, rapid.SampledFrom(f.Definitions()).Draw(t, "instance").Name, rapid.SampledFrom(volumes).Draw(t, "volume"))
	}
}

func TestModelOfPassing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			faults: make(chan string, 1), volumes: map[weir.VolumeID]*memory.Volume{}, filters: map[string]*weir.Filter{},
			detached: map[string]bool{}, quiet: map[weir.VolumeID]chan struct{}{},
		}
		var err error
		if w.Manager, err = manager.New(manager.Options{Discovery: &w.discovery, Planes: []weir.Plane{new(memory.Plane)}}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		defer func() {
			for id := range w.volumes {
				close(w.quiet[id])
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			w.writers.Wait()
			if n := w.alive.Load(); n != 0 {
				t.Errorf("%d instances are left", n)
			}
		}()
		for round := range rapid.IntRange(1, 3).Draw(t, "rounds") {
			for range rapid.IntRange(1, 8).Draw(t, "steps") {
				w.step(t)
			}
			w.rest(t, round)
		}
	})
}
