package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
)

// TestCoverage looks at each kind of cell, and at gaps of volumes that are there and not.
func TestCoverage(t *testing.T) {
	b := scene(t)
	c := get[Coverage](b, "/v1/coverage")
	cells := map[string]string{}
	for _, v := range c.Volumes {
		for i, cell := range v.Cells {
			cells[fmt.Sprint(v.Volume, " ", c.Columns[i])] = fmt.Sprint(cell.State, " ", cell.Fault)
		}
	}
	for place, want := range map[string]string{
		"1 low": "attached false", "2 high": "attached false", "1 high": "declined false", "3 low": "excluded false",
		"4 low": "blind true", "5 low": "failed true", "2 high/second": "detached false",
	} {
		if cells[place] != want {
			t.Errorf("%s is %s, want %s", place, cells[place], want)
		}
	}
	if c.Covered || len(c.Faults) != 2 || !strings.Contains(c.Faults[1], "volume 5 (/sick): low is failed: it is sick") {
		t.Errorf("faults: %q", c.Faults)
	}

	there, gone := memory.NewVolume(1, "/").Info(), memory.NewVolume(9, "/gone").Info()
	declined := memory.NewVolume(1, "/").Info()
	faults := map[uint64]bool{} // the other gaps are of what came before the mounts were seen
	var low uint64
	for _, gap := range []struct {
		info   weir.VolumeInfo
		filter string
		fault  bool
	}{{there, "low", true}, {gone, "low", false}, {declined, "high", false}} {
		id, err := b.ledger.OpenGap(gap.info, gap.filter, time.Now(), "a test")
		if err != nil {
			t.Fatal(err)
		}
		if faults[id] = gap.fault; gap.fault {
			low = id
		}
	}
	c = get[Coverage](b, "/v1/coverage")
	for _, gap := range c.Gaps {
		if gap.Fault != faults[gap.ID] {
			t.Errorf("gap %+v, want fault %t", gap, faults[gap.ID])
		}
		if gap.Source == "memory9" && gap.Name != "/gone" || gap.ID == low && gap.Name != "/" {
			t.Errorf("gap %+v does not say where its volume is, or was", gap)
		}
	}
	report(t, b.ledger.CloseGap(low, "a scan"))
	if c = get[Coverage](b, "/v1/coverage"); !slices.ContainsFunc(c.Gaps, func(g Gap) bool { return g.ID == low && g.ClosedBy == "a scan" && !g.Fault }) || len(c.Faults) != 2 {
		t.Errorf("after a scan: %+v", c)
	}
	b.discovery.Unmount(b.volumes[3])
	b.discovery.Unmount(b.volumes[4])
	b.await(func(s manager.Snapshot) bool { return len(s.Volumes) == 3 })
	if c = get[Coverage](b, "/v1/coverage"); !c.Covered {
		t.Errorf("without the odd one and the sick one: %q", c.Faults)
	}
	if c := coverageOf(manager.Snapshot{Complete: true}, nil, 1, time.Now(), "the disk is full"); c.Covered || c.Faults[0] != "the disk is full" {
		t.Errorf("with a trouble it answers %+v", c)
	}
	if c := coverageOf(manager.Snapshot{Missed: "lost"}, nil, 1, time.Now()); c.Covered || c.Faults[0] != "not all volumes are known: lost" {
		t.Errorf("%+v", c)
	}
}

// TestFaultsNeedSomebodyWhoIsToCover goes through what is about to end.
func TestFaultsNeedSomebodyWhoIsToCover(t *testing.T) {
	snapshot := func(state topology.SlotState) manager.Snapshot {
		return manager.Snapshot{
			Complete: true, Filters: []manager.FilterSnapshot{{Name: "f", Wants: "create"}},
			Volumes: []manager.VolumeSnapshot{{Info: weir.VolumeInfo{ID: 1}, Links: []manager.LinkSnapshot{{State: topology.LinkAttached}}}},
			Slots:   []manager.SlotSnapshot{{Filter: "f", Instance: "f", Volume: 1, State: state, By: "root"}},
		}
	}
	covered := func(s manager.Snapshot) bool {
		return coverageOf(s, []ledger.Gap{}, 1, time.Now()).Covered
	}
	for state, want := range map[topology.SlotState]bool{
		topology.SlotPending: false, topology.SlotSettingUp: false, topology.SlotAttached: true, topology.SlotDeclined: true,
		topology.SlotFailed: false, topology.SlotDetached: false, topology.SlotExcluded: true, topology.SlotDraining: true,
	} {
		s := snapshot(state)
		if got := covered(s); got != want {
			t.Errorf("%s: covered is %t", state, got)
		}
		s.Volumes[0].Leaving = true
		if !covered(s) {
			t.Errorf("%s on a volume that leaves is a fault", state)
		}
		s = snapshot(state)
		s.Filters[0].Wants = ""
		if !covered(s) {
			t.Errorf("%s: a filter that asks for nothing by itself is to cover", state)
		}
		s = snapshot(state)
		s.Filters[0].Stopping = true
		if !covered(s) {
			t.Errorf("%s of a filter that ends is a fault", state)
		}
	}
}

// TestFilterThatIsMissingIsAFault: of those that the manager was made for, not of one that serves who comes, nor of one that
// somebody has loaded besides.
func TestFilterThatIsMissingIsAFault(t *testing.T) {
	server := filter("server", "300", everywhere)
	server.Wants = 0
	b := begin(t, filter("main", "100", everywhere), server)
	b.discovery.Mount(memory.NewVolume(1, "/"))
	report(t, b.Load("spare", nil))
	settled := func(s manager.Snapshot) bool {
		return s.Settled() && len(s.Slots) == 3*len(s.Volumes) && len(s.Volumes) == 1
	}
	b.await(settled)
	for _, name := range []string{"server", "spare"} {
		report(t, b.Unload(t.Context(), name, true, ""))
		if c := get[Coverage](b, "/v1/coverage"); !c.Covered {
			t.Errorf("without %s: %q", name, c.Faults)
		}
	}
	report(t, b.Load("spare", nil))
	b.await(func(manager.Snapshot) bool {
		return slices.ContainsFunc(get[Coverage](b, "/v1/coverage").Gaps, func(g Gap) bool {
			return g.Filter == "spare" && g.Cause == "the filter was unloaded" && g.ClosedBy == "attached; what was missed is not looked for"
		})
	})
	report(t, b.Unload(t.Context(), "main", true, ""))
	var c Coverage
	b.await(func(manager.Snapshot) bool { // The ledger is told by a goroutine of its own.
		c = get[Coverage](b, "/v1/coverage")
		return slices.ContainsFunc(c.Gaps, func(g Gap) bool { return g.Fault })
	})
	if len(c.Faults) != 2 || c.Faults[0] != "filter main is not loaded" || !strings.Contains(c.Faults[1], "of filter main is open: the filter was unloaded") {
		t.Errorf("without main: %q", c.Faults)
	}
}

// What weir has taken away is told apart from what somebody has, with the rule that was broken.
func TestRemovedIsAFault(t *testing.T) {
	slot := manager.SlotSnapshot{Filter: "low", Instance: "low", Volume: 1, State: topology.SlotRemoved, Why: "it has broken rule double-resume: twice"}
	s := manager.Snapshot{
		Complete: true, Filters: []manager.FilterSnapshot{{Name: "low", Wants: "create"}}, Slots: []manager.SlotSnapshot{slot},
		Volumes: []manager.VolumeSnapshot{{Info: weir.VolumeInfo{ID: 1, Source: "disk"}}},
	}
	if c := coverageOf(s, nil, 1, time.Now()); len(c.Faults) != 1 || c.Faults[0] != "volume 1 (disk): low is removed: it has broken rule double-resume: twice" {
		t.Errorf("faults %q", c.Faults)
	}
	if in := instanceOf(s, slot); in.State != "removed" || in.Why != slot.Why || in.By != "" {
		t.Errorf("%+v", in)
	}
	if err := notAttached("attach", slot); !strings.Contains(err.Error(), "weir has taken it away again: it has broken rule double-resume: twice; the log says") {
		t.Error(err)
	}
}

// BenchmarkCoverage is of 2,000 volumes with three filters.
func BenchmarkCoverage(b *testing.B) {
	var s manager.Snapshot
	for _, name := range []string{"a", "b", "c"} {
		s.Filters = append(s.Filters, manager.FilterSnapshot{Name: name})
	}
	for id := range weir.VolumeID(2000) {
		s.Volumes = append(s.Volumes, manager.VolumeSnapshot{Info: weir.VolumeInfo{ID: id}})
		for _, f := range s.Filters {
			s.Slots = append(s.Slots, manager.SlotSnapshot{Filter: f.Name, Instance: f.Name, Volume: id, State: topology.SlotAttached})
		}
	}
	for b.Loop() {
		coverageOf(s, nil, 1, time.Now())
	}
}

// What is known of a volume that has left names its gaps.
func TestGapsAreNamedByWhatIsKnown(t *testing.T) {
	for want, gap := range map[string]ledger.Gap{
		"/mnt": {Point: "/mnt", Source: "disk"}, "disk": {Source: "disk"},
		"a mount that nobody could look at": {Source: weir.QuotePath("")},
	} {
		c := coverageOf(manager.Snapshot{Complete: true}, []ledger.Gap{gap}, 1, time.Now())
		if got := c.Gaps[0].Name; got != want || c.Gaps[0].Source == weir.QuotePath("") {
			t.Errorf("a gap on %+v is named %s, its source %s", gap, got, c.Gaps[0].Source)
		}
	}
}
