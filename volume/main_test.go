package volume

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

// record is a sink that remembers what it is told.
type record struct {
	mu     sync.Mutex
	told   []told
	states map[weir.VolumeID]string
	wrong  []string               // calls that break the contract
	away   map[weir.VolumeID]bool // volumes that only other namespaces showed when they arrived: of whoever runs here too
}

type told struct {
	what   string
	volume weir.Volume
	listed bool
	when   time.Time
}

func (r *record) add(what string, v weir.Volume, listed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, told{what, v, listed, time.Now()})
	if v == nil {
		return
	}
	was, ok := r.states[v.ID()]
	if ok == (what == "arrived") || was == "left" {
		r.wrong = append(r.wrong, fmt.Sprintf("%s of volume %d, which was %q", what, v.ID(), was))
	}
	r.states[v.ID()] = what
}

func (r *record) Arrived(v weir.Volume, listed bool) {
	r.add("arrived", v, listed)
	r.mu.Lock()
	defer r.mu.Unlock()
	if isAway(v.(*volume)) {
		r.away[v.ID()] = true
	}
}
func (r *record) Changed(v weir.Volume) { r.add("changed", v, false) }
func (r *record) Left(v weir.Volume)    { r.add("left", v, false) }
func (r *record) Passed()               { r.add("passed", nil, false) }
func (r *record) Listed()               { r.add("listed", nil, false) }
func (r *record) Missed(string)         { r.add("missed", nil, false) }

// count returns how often something was told, of one volume unless v is nil.
func (r *record) count(what string, v weir.Volume) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, t := range r.told {
		told := t.what == what || t.listed && t.what+" and listed" == what
		if told && (v == nil || t.volume != nil && t.volume.ID() == v.ID()) {
			n++
		}
	}
	return n
}

// isAway tells whether only other namespaces show a volume.
func isAway(v *volume) bool {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	in := v.w.model.find(v.id)
	return in != nil && len(in.mounts) == 0
}

// present returns the volumes that have arrived in weir's own namespace and not left.
func (r *record) present() []weir.VolumeID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []weir.VolumeID
	for id, state := range r.states {
		if state != "left" && !r.away[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// start runs a watcher until the end of the test, and returns it when it has listed.
func start(t *testing.T, options Options) (*Watcher, *record) {
	t.Helper()
	voltest.RequireRoot(t)
	w := New(options)
	return w, run(t, w)
}

// run runs a watcher until the end of the test.
func run(t *testing.T, w *Watcher) *record {
	t.Helper()
	before := fd.Open()
	r := &record{states: map[weir.VolumeID]string{}, away: map[weir.VolumeID]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, r) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
		if fd.Open() != before {
			t.Errorf("%d descriptors are left open", fd.Open()-before)
		}
		for _, wrong := range r.wrong {
			t.Error(wrong)
		}
	})
	eventually(t, "the first listing", func() bool { return r.count("listed", nil) == 1 })
	return r
}

// eachMode runs fn with mount events and with mountinfo alone.
func eachMode(t *testing.T, fn func(t *testing.T, options Options)) {
	t.Run("events", func(t *testing.T) { fn(t, Options{}) })
	t.Run("fallback", func(t *testing.T) { fn(t, Options{Fallback: true}) })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}

func mustAt(t *testing.T, w *Watcher, path string) weir.Volume {
	t.Helper()
	v, err := w.At(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func points(info weir.VolumeInfo) []string {
	var all []string
	for _, m := range info.Mounts {
		all = append(all, m.Point)
	}
	return all
}
