package manager_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// witness is an instance that checks that it is used as promised.
type witness struct {
	t     *testing.T
	mu    sync.Mutex
	names map[string]bool
	torn  bool
}

func (w *witness) Completed(ops []weir.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.torn {
		w.t.Error("operations came after the teardown")
	}
	for _, op := range ops {
		w.names[op.Name] = true
	}
}

// hears waits until the instance has been told of a name. An instance is attached a moment before its inbox opens, so
// that what completes in between is told by the goroutine that opens it.
func (w *witness) hears(name string) bool {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		told := w.names[name]
		w.mu.Unlock()
		if told {
			return true
		}
	}
	return false
}

func (w *witness) Lost(string) {}
func (w *witness) Changed()    {}
func (w *witness) Teardown(context.Context, weir.TeardownReason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.torn {
		w.t.Error("torn down twice")
	}
	w.torn = true
}

// census counts the instances of one filter on each volume.
type census struct {
	t    *testing.T
	mu   sync.Mutex
	seen map[weir.VolumeID]*witness
}

func (c *census) filter(name, altitude string) *weir.Filter {
	return &weir.Filter{
		Name: name, Altitude: weir.MustAltitude(altitude), Wants: weir.OpCreate,
		Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			v := site.Volume
			if c.seen[v.ID()] != nil {
				c.t.Errorf("filter %s is set up twice on volume %d", name, v.ID())
			}
			w := &witness{t: c.t, names: map[string]bool{}}
			c.seen[v.ID()] = w
			return w, nil
		},
	}
}

// The defect that weir exists to make impossible: volumes are mounted while filters start. Every filter
// ends up on every volume, exactly once, and is told of the first file that is made after its set-up.
func TestVolumesAreMountedWhileFiltersStart(t *testing.T) {
	const volumes, filters = 200, 8
	dir := t.TempDir()
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	discovery, plane := new(memory.Discovery), new(memory.Plane)
	m, err := manager.New(manager.Options{Discovery: discovery, Planes: []weir.Plane{plane}, Ledger: book})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()

	var mounted []*memory.Volume
	censuses := make([]*census, filters)
	var wg sync.WaitGroup
	wg.Go(func() {
		for id := range weir.VolumeID(volumes) {
			v := memory.NewVolume(id+1, fmt.Sprint("/mnt/", id+1))
			discovery.Mount(v)
			if id%3 == 2 {
				discovery.Unmount(v)
			} else {
				mounted = append(mounted, v)
			}
		}
	})
	wg.Go(func() {
		for i := range censuses {
			censuses[i] = &census{t: t, seen: map[weir.VolumeID]*witness{}}
			if err := m.Start(censuses[i].filter(fmt.Sprint("f", i), fmt.Sprint(100+i))); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	wait, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := m.Wait(wait, func(s manager.Snapshot) bool {
		return s.Settled() && len(s.Volumes) == len(mounted) && len(s.Slots) == len(mounted)*filters
	}); err != nil {
		t.Fatalf("%v: %d volumes of %d, %d slots", err, len(m.Snapshot().Volumes), len(mounted), len(m.Snapshot().Slots))
	}
	for _, v := range mounted {
		if err := v.Create("first"); err != nil {
			t.Fatal(err)
		}
		for i, c := range censuses {
			if w := c.seen[v.ID()]; w == nil || !w.hears("first") {
				t.Errorf("filter %d does not cover volume %d", i, v.ID())
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, c := range censuses {
		for id, w := range c.seen {
			if !w.torn {
				t.Errorf("instance on volume %d was not torn down", id)
			}
		}
	}
	if err := book.Close(); err != nil {
		t.Error(err)
	}
	if book, err = ledger.Open(dir); err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if n := len(book.Volumes()); n != volumes && n < len(mounted) {
		t.Errorf("the ledger knows %d volumes", n)
	}
	gaps := slices.DeleteFunc(book.Gaps(), func(g ledger.Gap) bool { return !g.Open() })
	if len(gaps) != len(mounted)*filters || gaps[0].Cause != "weir was not running" {
		t.Errorf("after the end the ledger has %d open gaps for %d pairs", len(gaps), len(mounted)*filters)
	}
}
