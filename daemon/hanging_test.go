package daemon

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestVolumeBesideOneThatHangs has a volume below the source hang in which another one is mounted. One that is mounted
// beside it is found all the same, and none is said to be absent.
func TestVolumeBesideOneThatHangs(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		s.o.ScanInterval = time.Second
		backing := mkdir(t, filepath.Join(s.from.Dir, "backing"))
		server := voltest.Bindfs(t, backing, mkdir(t, s.in("hangs")))
		voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("hangs/m"))))
		mkdir(t, s.in("other"))
		s.begin()
		s.alike()

		resume := voltest.Hang(t, server)
		v := voltest.New(t, "ext4", voltest.At(s.in("other")))
		write(t, filepath.Join(v.Dir, "file"), "2")
		s.awaitText(s.at("other/file"), "2")
		if log := s.log.Output.String(); strings.Contains(log, `msg="source absent`) {
			t.Errorf("something is said to be absent:\n%s", log)
		}
		resume()
		write(t, s.in("hangs/file"), "3")
		s.awaitText(s.at("hangs/file"), "3")
		s.alike()
		s.end()
	})
}

// TestTargetThatHangsDelaysNoVolume mounts a volume below the source while one of two targets hangs.
func TestTargetThatHangsDelaysNoVolume(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	slow := mkdir(t, filepath.Join(t.TempDir(), "slow"))
	server := voltest.Bindfs(t, mkdir(t, filepath.Join(s.from.Dir, "backing")), slow)
	slow = mkdir(t, filepath.Join(slow, "r"))
	s.o.Targets = append(s.o.Targets, slow)
	mkdir(t, s.in("m"))
	s.begin()
	s.alike()
	s.equal(s.src, slow)
	resume := voltest.Hang(t, server)
	v := voltest.New(t, "ext4", voltest.At(s.in("m")))
	write(t, filepath.Join(v.Dir, "file"), "1")
	s.within(4*time.Second, "it is on the other target", func() bool { return !absent(s.at("m/file")) })
	resume()
	s.equal(s.src, slow)

	resume = voltest.Hang(t, server)
	write(t, s.in("late"), "1")
	s.awaitText(s.at("late"), "1")
	s.endBehind()
	if told := s.log.String(); strings.Contains(told, "left behind") && !regexp.MustCompile(`left behind" (busy|asked)=\S*`+regexp.QuoteMeta(filepath.Dir(slow))).MatchString(told) {
		t.Errorf("%s is not told of:\n%s", slow, told)
	}
	resume()
}

// TestMountComesWithADirectory moves a directory into the source in which a volume is mounted, and out again.
func TestMountComesWithADirectory(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		outside := filepath.Join(s.from.Dir, "outside")
		v := voltest.New(t, "ext4", voltest.At(mkdir(t, filepath.Join(outside, "m"))))
		write(t, filepath.Join(v.Dir, "file"), "1")
		s.begin()
		s.alike()
		rename(t, outside, s.in("inside"))
		s.awaitText(s.at("inside/m/file"), "1")
		s.alike()
		write(t, s.in("inside/m/file"), "2")
		s.awaitText(s.at("inside/m/file"), "2")
		rename(t, s.in("inside"), outside)
		s.awaitPhase(s.in("inside/m"), replicate.PhaseSourceAbsent)
		s.equal(s.src, s.dst)
		s.end()
	})
}

// TestFrozenVolumeAndHungSetUpDelayNothing has a volume below the source frozen, and a filter whose set-up on it does not
// return: every other volume is followed as fast as ever, and gets its instance of that filter.
func TestFrozenVolumeAndHungSetUpDelayNothing(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		frozen := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("frozen"))))
		write(t, filepath.Join(frozen.Dir, "file"), "1")
		s.begin()
		s.alike()
		thaw := voltest.Freeze(t, frozen.Dir)
		goOn := make(chan struct{})
		var on sync.Map // mount points
		ok(t, s.m.manager.Start(attachesTo(t, "hesitates", func(at string) {
			if at == frozen.Dir {
				<-goOn
			}
			on.Store(at, true)
		})))
		v := voltest.New(t, "xfs", voltest.At(mkdir(t, s.in("next"))))
		write(t, filepath.Join(v.Dir, "file"), "2")
		s.awaitText(s.at("next/file"), "2")
		s.await("an instance at "+v.Dir, func() bool { _, is := on.Load(v.Dir); return is })
		write(t, s.in("file"), "3")
		s.awaitText(s.at("file"), "3")
		thaw()
		close(goOn)
		s.await("an instance at "+frozen.Dir, func() bool { _, is := on.Load(frozen.Dir); return is })
		write(t, filepath.Join(frozen.Dir, "file"), "4")
		s.alike()
		s.end()
	})
}

// TestCallbacksMount has the callbacks of a filter mount and unmount volumes: nothing waits for itself, and what they mount
// is followed like any other.
func TestCallbacksMount(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		s.begin()
		s.alike()
		var on sync.Map // mount points
		inSetup, inCompleted := mkdir(t, s.in("in set-up")), mkdir(t, s.in("in Completed"))
		mount := sync.OnceFunc(func() { ok(t, unix.Mount("set-up", inSetup, "tmpfs", 0, "size=64k")) })
		again := sync.OnceFunc(func() { ok(t, unix.Mount("completed", inCompleted, "tmpfs", 0, "size=64k")) })
		f := attachesTo(t, "mounts", func(at string) {
			mount()
			on.Store(at, true)
		})
		f.Wants = weir.OpCreate
		setup := f.Setup
		f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			if _, err := setup(ctx, site); err != nil {
				return nil, err
			}
			return mounting{again}, nil
		}
		ok(t, s.m.manager.Start(f))
		s.await("an instance at "+inSetup, func() bool { _, is := on.Load(inSetup); return is })
		write(t, filepath.Join(inSetup, "file"), "1")
		s.await("an instance at "+inCompleted, func() bool { _, is := on.Load(inCompleted); return is })
		write(t, filepath.Join(inCompleted, "file"), "2")
		s.awaitText(s.at("in set-up/file"), "1")
		s.awaitText(s.at("in Completed/file"), "2")
		ok(t, s.m.manager.Unload(t.Context(), "mounts", false, ""))
		ok(t, unix.Unmount(inSetup, 0))
		ok(t, unix.Unmount(inCompleted, 0))
		s.end()
	})
}

// attachesTo is a filter that tells at which first mount point each volume is on which it is set up.
func attachesTo(t *testing.T, name string, tell func(at string)) *weir.Filter {
	t.Helper()
	return &weir.Filter{
		Name: name, Altitude: weir.MustAltitude("200000"), Wants: weir.OpDelete,
		Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
			if mounts := site.Volume.Info().Mounts; len(mounts) > 0 {
				tell(mounts[0].Point)
			}
			return mounting{func() {}}, nil
		},
	}
}

// mounting is an instance that does something when it is told of operations.
type mounting struct{ completed func() }

func (m mounting) Completed([]weir.Operation)                  { m.completed() }
func (mounting) Lost(string)                                   {}
func (mounting) Changed()                                      {}
func (mounting) Teardown(context.Context, weir.TeardownReason) {}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
