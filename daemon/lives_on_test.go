package daemon

import (
	"os"
	"slices"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/volume"
)

// isDetached tells whether no mount shows a volume, and it lives on. Those of other tests may do so, too.
func (s *scene) isDetached(id weir.VolumeID) bool { return s.detached(id) != nil }

func (s *scene) detached(id weir.VolumeID) *volume.Detached {
	for _, d := range s.m.watcher.Detached() {
		if d.Info.ID == id {
			return &d
		}
	}
	return nil
}

func (s *scene) awaitVolume(path string) (info weir.VolumeInfo) {
	s.t.Helper()
	s.await("the replicator is on "+path, func() bool {
		slot, v := s.slotAt(path)
		info = v.Info
		return mountedOn(info, path) && slot != nil && slot.State == topology.SlotAttached
	})
	return info
}

func mountedOn(info weir.VolumeInfo, path string) bool {
	return slices.ContainsFunc(info.Mounts, func(m weir.Mount) bool { return m.Own && m.Point == path })
}

// hold follows a volume that is mounted below the source, and then takes its mount away while a file on it is open.
func (s *scene) hold(fs string) (nested *voltest.Volume, before weir.VolumeInfo, file *os.File) {
	s.t.Helper()
	nested = voltest.New(s.t, fs, voltest.At(s.in("m")))
	write(s.t, s.in("m/a"), "1")
	s.begin()
	s.alike()
	before = s.awaitVolume(nested.Dir)
	file, err := os.OpenFile(s.in("m/a"), os.O_WRONLY, 0)
	ok(s.t, err)
	s.t.Cleanup(func() { file.Close() })
	nested.Lazy()
	return nested, before, file
}

// TestVolumeLivesOnAfterALazyUmount writes through a descriptor to a volume that is mounted nowhere, which nobody sees. When it
// is mounted again it is known to be the same, and what was written is found.
func TestVolumeLivesOnAfterALazyUmount(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		nested, before, file := s.hold("ext4")
		s.await("it is listed as detached", func() bool { return s.isDetached(before.ID) })
		d := s.detached(before.ID)
		if len(d.Info.Mounts) != 0 || len(d.Info.Was) != 1 || d.Info.Was[0].Point != nested.Dir || d.Info.Source != before.Source || d.Left.IsZero() {
			t.Errorf("listed: %+v", d)
		}
		_, err := file.WriteString("22")
		ok(t, err)

		nested.Mount()
		after := s.awaitVolume(nested.Dir)
		if after.ID == before.ID || after.Former != before.ID || s.isDetached(before.ID) {
			t.Errorf("volume %d is volume %d, which was %d", before.ID, after.ID, after.Former)
		}
		s.awaitText(s.at("m/a"), "22")
		s.alike()

		nested.Lazy()
		s.await("it is listed as detached again", func() bool { return s.isDetached(after.ID) })
		ok(t, file.Close())
		s.await("it is gone with the last file", func() bool { return !s.isDetached(after.ID) })
		nested.Mount()
		if v := s.awaitVolume(nested.Dir); v.Former != 0 {
			t.Errorf("a volume that was gone is taken for one that lived on: %+v", v)
		}
		s.alike()
		s.end()
	})
}

// TestAnotherVolumeComesBesideADetachedOne mounts another tmpfs where one lives on.
func TestAnotherVolumeComesBesideADetachedOne(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		nested, before, _ := s.hold("tmpfs")
		nested.Mount()
		var other weir.VolumeInfo
		s.await("another volume is there", func() bool {
			v, err := s.m.watcher.At(nested.Dir)
			if err == nil {
				other = v.Info()
			}
			return err == nil && other.ID != before.ID && mountedOn(other, nested.Dir)
		})
		if other.Former != 0 || !s.isDetached(before.ID) || s.isDetached(other.ID) {
			t.Errorf("volume %d came beside %d: %+v", other.ID, before.ID, other)
		}
		nested.Unmount()
		s.await("a volume that was unmounted is gone", func() bool { return !s.isDetached(other.ID) && s.isDetached(before.ID) })
		ok(t, s.stop())
	})
}
