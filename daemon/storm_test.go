package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/policy"
)

var stormMounts = flag.Int("storm", 2000, "mounts in TestLiveStorm")

const stormWorkers = 8

// TestLiveStorm has workers mount volumes below the source at fresh places and at used ones, write at once, and unmount,
// while filters come and go and frames are made above layers. At rest nothing is missed, nothing is left of what has
// gone, and nothing is there twice; and of each volume the ledger knows whether it was replicated.
func TestLiveStorm(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newStorm(t, fallback)
		mounts := *stormMounts
		if fallback {
			mounts /= 4
		}
		s.rage(mounts)
		s.atRest()
		s.account()
		s.leave()
	})
}

// storm is a mirror, who mounts below its source, and a record of what was done.
type storm struct {
	*scene
	fallback bool
	gaps     *stormGaps
	census   *stormCensus
	loops    []*voltest.Volume
	layers   string
	before   map[uint64]bool // devices on which descriptors were open
	made     atomic.Int64
	above    atomic.Int64 // layers that have a frame above them
	busy     atomic.Int64 // umounts that somebody else had kept for a moment

	mu      sync.Mutex
	mounted map[string]time.Time // when mount(2) returned, by source, of volumes that are mounted once
	looped  int                  // mounts of loop volumes
	stayed  int                  // volumes that stayed until they were compared
	written map[string]string    // texts that have to be on the loop volumes in the end
}

func newStorm(t *testing.T, fallback bool) *storm {
	t.Helper()
	s := &storm{
		scene: newScene(t, "ext4", "xfs", fallback), fallback: fallback, gaps: newStormGaps(), layers: mkdir(t, filepath.Join(t.TempDir(), "layers")),
		census:  &stormCensus{t: t, on: map[string]map[weir.VolumeID]int{}},
		mounted: map[string]time.Time{}, written: map[string]string{},
	}
	for w := range stormWorkers {
		v := voltest.New(t, "ext4", voltest.At(s.loopAt(w)), voltest.Unmounted(), voltest.Size(8<<20), voltest.Mkfs("-O", "^has_journal"))
		mkdir(t, v.Dir)
		s.loops = append(s.loops, v)
	}
	s.before = openDevices(t)
	s.o.Replaced = policy.ReplacedMirror
	s.o.wrapGaps = func(g replicate.Gaps) replicate.Gaps { s.gaps.Gaps = g; return s.gaps }
	s.o.wrapPlane = func(p weir.Plane) weir.Plane { return stormPlane{p, s.gaps} }
	s.o.alter = func(f *weir.Filter) { f.Altitude = weir.MustAltitude("100000") } // below the layers
	s.begin()
	s.alike()
	if err := s.m.manager.Start(s.census.filter("always", "100001")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *storm) loopAt(worker int) string { return s.in(fmt.Sprintf("w%d/loop", worker)) }

// rage runs everything at once, and returns when the workers have done their share. The last volumes of each stay.
func (s *storm) rage(mounts int) {
	s.t.Helper()
	var workers, others sync.WaitGroup
	calm, end := context.WithCancel(s.t.Context())
	defer end()
	failed := make(chan error, stormWorkers+2)
	run := func(group *sync.WaitGroup, what func() error) {
		group.Go(func() {
			if err := what(); err != nil {
				failed <- err
			}
		})
	}
	for w := range stormWorkers {
		run(&workers, func() error { return s.work(w, mounts/stormWorkers) })
	}
	run(&others, func() error { return s.filtersComeAndGo(calm) })
	s.layersCome(int64(mounts))
	workers.Wait()
	end()
	others.Wait()
	close(failed)
	for err := range failed {
		s.t.Error(err)
	}
	if s.t.Failed() {
		s.t.Fatal(s.log)
	}
}

// work is one worker.
func (s *storm) work(w, mounts int) error {
	random := rand.New(rand.NewPCG(1, uint64(w)))
	fresh := 0
	for n := range mounts {
		last := n >= mounts-2
		if n == mounts-2 || !last && random.IntN(4) == 0 {
			if err := s.mountLoop(w, n, last); err != nil {
				return err
			}
			continue
		}
		place := fresh
		if fresh > 0 && random.IntN(3) > 0 {
			place = random.IntN(fresh)
		} else {
			fresh++
		}
		if err := s.mountMemory(w, n, place, random.IntN(8) == 0, last); err != nil {
			return err
		}
	}
	return nil
}

// mountLoop mounts the worker's loop volume, adds a file, and unmounts it unless it is the last time.
func (s *storm) mountLoop(w, n int, last bool) error {
	v := s.loops[w]
	if err := unix.Mount(v.Device, v.Dir, v.FS, 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", v.Dir, err)
	}
	name, text := fmt.Sprint("file", n), fmt.Sprintf("worker %d, turn %d", w, n)
	if err := os.WriteFile(filepath.Join(v.Dir, name), []byte(text), 0o644); err != nil {
		return err
	}
	s.made.Add(1)
	s.mu.Lock()
	s.looped++
	s.written[fmt.Sprintf("w%d/loop/%s", w, name)] = text
	s.mu.Unlock()
	if last {
		return nil
	}
	return s.umount(v.Dir)
}

// mountMemory mounts a tmpfs that is never mounted again. One that stays is unmounted when it was compared, and
// then its file is on the replica.
func (s *storm) mountMemory(w, n, place int, stays, last bool) error {
	rel := fmt.Sprintf("w%d/place%d", w, place)
	source, at := fmt.Sprintf("storm-%d-%d", w, n), s.in(rel)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	var compared <-chan weir.VolumeID
	if stays {
		compared = s.gaps.expect(source)
	}
	if err := unix.Mount(source, at, "tmpfs", 0, "size=64k"); err != nil {
		return fmt.Errorf("mount %s: %w", at, err)
	}
	returned := time.Now()
	if err := os.WriteFile(filepath.Join(at, "first"), []byte(source), 0o644); err != nil {
		return err
	}
	s.made.Add(1)
	s.mu.Lock()
	s.mounted[source] = returned
	s.mu.Unlock()
	if stays {
		if err := s.stayedUntil(compared, source, rel); err != nil {
			return err
		}
	}
	if last {
		return nil
	}
	return s.umount(at)
}

func (s *storm) stayedUntil(compared <-chan weir.VolumeID, source, rel string) error {
	select {
	case <-compared:
	case <-time.After(time.Minute):
		return fmt.Errorf("%s at %s was not compared within a minute", source, rel)
	}
	got, err := os.ReadFile(s.at(rel + "/first"))
	if err != nil || string(got) != source {
		return fmt.Errorf("%s was compared, and its replica holds %q: %w", rel, got, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stayed++
	return nil
}

// umount unmounts, also what is pinned for a moment.
func (s *storm) umount(at string) error {
	for end := time.Now().Add(2 * time.Second); ; runtime.Gosched() {
		err := unix.Unmount(at, 0)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return fmt.Errorf("umount %s: %w", at, err)
		}
		s.busy.Add(1)
	}
}

// filtersComeAndGo starts and unloads filters, below the layers, and above those that have a frame of their own.
func (s *storm) filtersComeAndGo(calm context.Context) error {
	altitudes := []string{"50000", "100000.5", "145000", "195000"}
	for n := 0; calm.Err() == nil; n++ {
		name := fmt.Sprint("comes-and-goes-", n)
		if err := s.m.manager.Start(s.census.filter(name, altitudes[n%int(2+s.above.Load())])); err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(context.WithoutCancel(calm), 20*time.Second)
		err := s.m.manager.Unload(wait, name, n%2 == 0, "")
		cancel()
		if err != nil {
			return fmt.Errorf("unload %s: %w", name, err)
		}
		if live := s.census.live(name); len(live) > 0 {
			return fmt.Errorf("%s is unloaded and has instances on %v", name, live)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// layersCome mounts an overlay after a third of the mounts and bindfs after two, and starts a filter above each.
func (s *storm) layersCome(mounts int64) {
	s.t.Helper()
	s.reached(mounts / 3)
	dir := func(name string) string { return mkdir(s.t, filepath.Join(s.layers, name)) }
	base := voltest.New(s.t, "tmpfs", voltest.At(dir("base"))).Dir
	voltest.Overlay(s.t, true, filepath.Join(base, "lower"), filepath.Join(base, "upper"), filepath.Join(base, "work"), dir("overlay"))
	s.startAbove("overlay", "140000")
	s.reached(2 * mounts / 3)
	voltest.Bindfs(s.t, base, dir("bindfs"))
	s.startAbove("bindfs", "190000")
}

// startAbove starts a filter once the layer in that directory is known.
func (s *storm) startAbove(layer, altitude string) {
	s.t.Helper()
	at := filepath.Join(s.layers, layer)
	shows := func(m weir.Mount) bool { return m.Own && m.Point == at }
	known := func(v manager.VolumeSnapshot) bool { return v.Info.Layer && slices.ContainsFunc(v.Info.Mounts, shows) }
	wait, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	err := s.m.manager.Wait(wait, func(now manager.Snapshot) bool { return slices.ContainsFunc(now.Volumes, known) })
	if err == nil {
		err = s.m.manager.Start(s.census.filter("above-"+layer, altitude))
	}
	if err != nil {
		s.t.Fatalf("%s: %v", layer, err)
	}
	s.above.Add(1)
}

// reached waits until so much was mounted.
func (s *storm) reached(mounts int64) {
	for end := time.Now().Add(5 * time.Minute); s.made.Load() < mounts && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
}
