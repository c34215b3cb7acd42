package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/manifest"
	"github.com/weirfs/weir/verify"
)

// awaitDetached waits until a place is told to be detached, and why; what helps begins with the command.
func (s *scene) awaitDetached(place, why, command string) {
	s.t.Helper()
	s.await("it is told who took the filter away", func() bool {
		u := s.unit(place, s.dst)
		return u.Phase == replicate.PhaseDetached && u.Reason == why && strings.HasPrefix(u.Todo, command)
	})
}

// volumeAt returns which volume is shown at a path.
func (s *scene) volumeAt(path string) weir.VolumeID {
	s.t.Helper()
	at, err := s.m.watcher.At(path)
	ok(s.t, err)
	return at.ID()
}

// detach takes the filter from what is mounted at a place, and waits until that is told, and what helps.
func (s *scene) detach(place, command string) weir.VolumeID {
	s.t.Helper()
	id := s.volumeAt(place)
	ok(s.t, s.m.manager.Detach(s.t.Context(), "replicate", "", id, "root"))
	s.awaitDetached(place, "detached by hand, by root", command)
	return id
}

// attachAgain is what begins to help who has detached a volume.
const attachAgain = "weir attach replicate "

// endBlind stops the mirror while something is not seen.
func (s *scene) endBlind() {
	s.t.Helper()
	err := s.stop()
	if weir.KindOf(err) != weir.KindBehind || !strings.Contains(err.Error(), "the filter was taken from a part of the source") || !strings.Contains(err.Error(), s.dst) {
		s.t.Errorf("stop: %v", err)
	}
	if log := s.log.String(); strings.Contains(log, "source absent") {
		s.t.Errorf("a source that is there is called absent:\n%s", log)
	}
}

// TestDetachedVolumeIsNotCalledAbsent takes the filter from a nested volume, which stays: what is around it goes on.
func TestDetachedVolumeIsNotCalledAbsent(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
	s.begin()
	s.alike()
	volume := s.detach(nested.Dir, attachAgain)
	write(t, s.in("m/unseen"), "1")
	write(t, s.in("seen"), "1")
	s.awaitText(s.at("seen"), "1")
	ok(t, s.m.manager.Attach("replicate", "", volume))
	s.alike()
	s.detach(nested.Dir, attachAgain)
	s.endBlind()
	s.begin()
	s.alike()
	s.end()
}

// TestNestedVolumeIsFollowedWhileWhatIsAroundItIsDetached takes the filter from the outer one of two volumes.
func TestNestedVolumeIsFollowedWhileWhatIsAroundItIsDetached(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	voltest.New(t, "ext4", voltest.At(s.in("m")))
	s.begin()
	s.alike()
	volume := s.detach(s.src, attachAgain)
	write(t, s.in("unseen"), "1")
	write(t, s.in("m/seen"), "1")
	s.awaitText(s.at("m/seen"), "1")
	ok(t, s.m.manager.Attach("replicate", "", volume))
	s.alike()
	s.end()
	if log := s.log.String(); strings.Contains(log, "source absent") {
		t.Errorf("a source that is there is called absent:\n%s", log)
	}
}

// TestUnloadedFilterIsNotCalledAbsence unloads the filter, and then unmounts what has to be mounted in any case.
func TestUnloadedFilterIsNotCalledAbsence(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	nested := voltest.New(t, "ext4", voltest.At(s.in("m")))
	s.begin()
	s.alike()
	ok(t, s.m.manager.Unload(t.Context(), "replicate", true, ""))
	write(t, s.in("unseen"), "1")
	for _, place := range []string{s.src, nested.Dir} {
		s.awaitDetached(place, "the filter is unloaded", "weir load replicate:")
	}
	nested.Unmount()
	s.await("a volume that has left meanwhile is absent", func() bool {
		return s.unit(nested.Dir, s.dst).Phase == replicate.PhaseSourceAbsent
	})
	nested.Mount()
	s.awaitDetached(nested.Dir, "the filter is unloaded", "weir load replicate:")
	ok(t, controlled{s.m.manager, s.m}.Load("replicate", nil))
	s.alike()
	ok(t, s.m.manager.Unload(t.Context(), "replicate", true, ""))
	s.awaitDetached(s.src, "the filter is unloaded", "weir load replicate:")
	s.endBlind()
}

// TestRemovedFilterIsTakenBack has weir take the filter from the source, since it has broken a rule.
func TestRemovedFilterIsTakenBack(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	var host weir.Host
	s.o.Verify = &verify.Options{Actions: verify.Actions{"context-kind": verify.Remove}}
	s.o.alter = func(f *weir.Filter) {
		setUp := f.Setup
		f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
			in, err := setUp(ctx, site)
			if err == nil {
				host = site.Host
			}
			return in, err
		}
	}
	s.begin()
	s.alike()
	host.DropContext(weir.ContextKey{Kind: weir.ContextVolume}) // which the replicator has not registered
	s.awaitDetached(s.src, "taken away by weir: it has broken rule context-kind: DropContext is called for a context of kind volume, which the filter has not registered", attachAgain)
	write(t, s.in("unseen"), "1")
	ok(t, s.m.manager.Attach("replicate", "", s.volumeAt(s.src)))
	s.alike()
	s.end()
	if log := s.log.String(); strings.Contains(log, "source absent") || strings.Contains(log, "rule=setup-teardown") {
		t.Errorf("the log:\n%s", log)
	}
}

// TestWhoIsAttachedByItselfOnly is not told to attach what nobody may.
func TestWhoIsAttachedByItselfOnly(t *testing.T) {
	s := newScene(t, "ext4", "tmpfs", false)
	m, err := manifest.Parse("m", []byte("filter='replicate'\n[[instance]]\nname='mirror'\naltitude='309998'\nattach='automatic'\n"))
	ok(t, err)
	s.o.Manifests = []*manifest.Manifest{m}
	s.begin()
	s.alike()
	s.detach(s.src, "weir unload --force replicate, and weir load replicate: ")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := controlled{s.m.manager, s.m}
	ok(t, c.Unload(ctx, "replicate", true, "root"))
	ok(t, c.Load("replicate", nil))
	write(t, s.in("back"), "x")
	s.awaitText(s.at("back"), "x")
	if slot, _ := s.slotAt(s.src); slot == nil || slot.Instance != "mirror" || slot.Altitude.String() != "309998" {
		t.Errorf("loaded again it has %+v", slot)
	}
	s.alike()
	s.end()
}
