package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// atRest waits until nothing is being done, and checks slots, instances, marks and descriptors against what is mounted.
func (s *storm) atRest() {
	s.t.Helper()
	wait, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	var last manager.Snapshot
	err := s.m.manager.Wait(wait, func(now manager.Snapshot) bool {
		last = now
		return now.Settled() && slices.Equal(volumesIn(now), mountedDevices(s.t))
	})
	if err != nil {
		s.t.Fatalf("not at rest: %v\nknown   %v\nmounted %v\n%s", err, volumesIn(last), mountedDevices(s.t), s.log)
	}
	here := mountTable(s.t, 4)
	s.equalBut(s.src, s.dst, func(path string) bool { // What has left stays as it was on the replica.
		parts := strings.SplitN(path, "/", 3)
		return len(parts) > 1 && !slices.Contains(here, s.in(filepath.Join(parts[:2]...)))
	})
	s.within(30*time.Second, "all that is there to be in sync", func() bool {
		return !slices.ContainsFunc(s.m.Status().Units, func(u replicate.UnitStatus) bool {
			return u.Phase != replicate.PhaseInSync && u.Phase != replicate.PhaseSourceAbsent
		})
	})
	now := s.m.manager.Snapshot()
	if len(now.Frames) != 3 {
		s.t.Errorf("the frames are %v, want one below, between and above the two layers", now.Frames)
	}
	ids := map[weir.VolumeID]bool{}
	for _, v := range now.Volumes {
		ids[v.Info.ID] = true
		if own(v) {
			s.complete(now, v)
		}
	}
	for _, f := range now.Filters {
		for _, volume := range s.census.live(f.Name) {
			if !ids[volume] {
				s.t.Errorf("ghost: %s has an instance on volume %d, which has gone", f.Name, volume)
			}
		}
	}
	for _, slot := range now.Slots {
		if !ids[slot.Volume] {
			s.t.Errorf("ghost: slot %+v", slot)
		}
	}
	s.noGhostsInTheKernel(now)
}

// complete checks that every filter has dealt with a volume, once.
func (s *storm) complete(now manager.Snapshot, v manager.VolumeSnapshot) {
	s.t.Helper()
	for _, f := range now.Filters {
		var slots []manager.SlotSnapshot
		for _, slot := range now.Slots {
			if slot.Filter == f.Name && slot.Volume == v.Info.ID {
				slots = append(slots, slot)
			}
		}
		if len(slots) != 1 {
			s.t.Errorf("missed or double: %s has %d slots on %s: %+v", f.Name, len(slots), v.Info.Source, slots)
			continue
		}
		slot := slots[0]
		switch slot.State {
		case topology.SlotAttached, topology.SlotDeclined, topology.SlotExcluded:
		case topology.SlotPending:
			if !hidden(s.t, v) {
				s.t.Errorf("missed: %s on %s waits", f.Name, v.Info.Source)
			}
		default:
			s.t.Errorf("missed: %s on %s is %s: %s", f.Name, v.Info.Source, slot.State, slot.Why)
		}
		if live := slices.Contains(s.census.live(f.Name), v.Info.ID); f.Name != "replicate" && live != (slot.State == topology.SlotAttached) {
			s.t.Errorf("%s on %s is %s, and an instance is there: %v", f.Name, v.Info.Source, slot.State, live)
		}
	}
}

// own reports whether a volume is mounted in this namespace: others may be busy with theirs.
func own(v manager.VolumeSnapshot) bool {
	return slices.ContainsFunc(v.Info.Mounts, func(m weir.Mount) bool { return m.Own })
}

// hidden reports whether other mounts cover all that show a volume in this namespace.
func hidden(t testing.TB, v manager.VolumeSnapshot) bool {
	t.Helper()
	return !slices.ContainsFunc(v.Info.Mounts, func(m weir.Mount) bool {
		var st unix.Stat_t
		if err := unix.Stat(m.Point, &st); err != nil {
			t.Errorf("stat %s: %v", m.Point, err)
		}
		return m.Own && fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)) == v.Info.Device
	})
}

// volumesIn returns the devices of the volumes that are known, in order.
func volumesIn(s manager.Snapshot) (devices []string) {
	for _, v := range s.Volumes {
		if own(v) {
			devices = append(devices, v.Info.Device)
		}
	}
	slices.Sort(devices)
	return devices
}

// mountedDevices returns the devices that are mounted, in order.
func mountedDevices(t testing.TB) []string { return mountTable(t, 2) }

// mountTable returns what stands in a column of the table of mounts, in order.
func mountTable(t testing.TB, column int) (list []string) {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		list = append(list, strings.Fields(line)[column])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// noGhostsInTheKernel looks for marks and descriptors on volumes that have gone.
func (s *storm) noGhostsInTheKernel(now manager.Snapshot) {
	s.t.Helper()
	mounted := map[uint64]bool{}
	for _, v := range now.Volumes {
		var major, minor uint32
		if _, err := fmt.Sscanf(v.Info.Device, "%d:%d", &major, &minor); err != nil {
			s.t.Fatal(err)
		}
		mounted[unix.Mkdev(major, minor)] = true
	}
	for device := range openDevices(s.t) {
		if !mounted[device] && !s.before[device] {
			s.t.Errorf("ghost: a descriptor is open on device %d:%d, which has gone", unix.Major(device), unix.Minor(device))
		}
	}
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, info := range infos {
		text, _ := os.ReadFile(info)
		for line := range strings.Lines(string(text)) {
			var sdev uint64 // as the kernel packs it: twelve bits of major number, twenty of minor
			if _, err := fmt.Sscanf(line, "fanotify sdev:%x", &sdev); err == nil && !mounted[unix.Mkdev(uint32(sdev>>20), uint32(sdev&0xfffff))] {
				s.t.Errorf("ghost: %s", line)
			}
		}
	}
}

// openDevices returns the devices on which this process has files open: sockets and pipes have no path.
func openDevices(t testing.TB) map[uint64]bool {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	devices := map[uint64]bool{}
	for _, entry := range list {
		fd := "/proc/self/fd/" + entry.Name()
		var st unix.Stat_t
		if path, err := os.Readlink(fd); err == nil && path[0] == '/' && unix.Stat(fd, &st) == nil {
			devices[st.Dev] = true
		}
	}
	return devices
}

// account compares the ledger with what was done: each volume was compared while it was there, or there is one gap that
// says that it left before, or it is still there.
func (s *storm) account() {
	s.t.Helper()
	stands, nameless := map[string]int{}, 0
	for _, gap := range s.m.ledger.Gaps() {
		if strings.HasPrefix(gap.Cause, leftEarly) && gap.Volume != 0 {
			stands[gap.Source]++
		} else if strings.HasPrefix(gap.Cause, leftEarly) {
			nameless++
		}
	}
	s.gaps.mu.Lock()
	defer s.gaps.mu.Unlock()
	scanned, early := map[string]bool{}, 0
	for id := range s.gaps.scanned {
		scanned[s.gaps.sources[id]] = true
	}
	for id, n := range s.gaps.early {
		if early += n; id != 0 && (n != 1 || s.gaps.scanned[id]) {
			s.t.Errorf("volume %d (%s): %d gaps say that it left early, it was compared: %v", id, s.gaps.sources[id], n, s.gaps.scanned[id])
		}
	}
	unseen := 0
	for source := range s.mounted {
		switch n := stands[source]; {
		case n == 0 && !scanned[source]:
			unseen++
		case s.fallback: // What a table that changes while it is read leaves out for a moment comes again as another volume.
		case n > 1 || n == 1 && scanned[source]:
			s.t.Errorf("%s: %d gaps say that it left early, it was compared: %v", source, n, scanned[source])
		}
	}
	total := len(s.mounted) + s.looped
	// Before Linux 6.15 nobody tells of a mount that was gone at the next look. Else mounts of other namespaces that
	// nobody could look at are among the nameless.
	if !s.fallback {
		if nameless != s.gaps.early[0] || unseen > nameless {
			s.t.Errorf("%d memory volumes were never seen, and the ledger knows of %d mounts that were not, the record of %d", unseen, nameless, s.gaps.early[0])
		}
		if len(s.gaps.scanned)+early < total {
			s.t.Errorf("%d volumes were compared and %d left before, of %d", len(s.gaps.scanned), early, total)
		}
	}
	s.t.Logf("%d mounts, of which %d on loop devices: %d compared, %d waited for that; %d left before their scan ended, %d of those before anybody could look; %d umounts waited a moment",
		total, s.looped, len(s.gaps.scanned), s.stayed, early, s.gaps.early[0], s.busy.Load())
}

// leave has the loop volumes hold, and show, all that was ever written, prints how long marks took, and ends.
func (s *storm) leave() {
	s.t.Helper()
	if list := s.gaps.latencies(s.mounted); len(list) > 0 {
		s.t.Logf("from mount(2) to the mark: median %v, 99th percentile %v, of %d volumes", list[len(list)/2], list[len(list)*99/100], len(list))
	}
	for rel, want := range s.written {
		if got := text(s.t, s.at(rel)); got != want {
			s.t.Errorf("%s holds %q on the replica, want %q", rel, got, want)
		}
	}
	s.end()
	for _, f := range []string{"always", "above-overlay", "above-bindfs"} {
		if live := s.census.live(f); len(live) > 0 {
			s.t.Errorf("%s has instances on %v after the end", f, live)
		}
	}
	for w := range stormWorkers {
		mounts, err := filepath.Glob(s.in(fmt.Sprintf("w%d/*", w)))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, at := range mounts {
			_ = unix.Unmount(at, 0) // most are places that nothing is mounted at
		}
	}
}
