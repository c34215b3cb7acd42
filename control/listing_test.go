package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/verify"
)

// get asks for one listing.
func get[T any](b *bench, path string) (answer T) {
	b.t.Helper()
	report(b.t, b.Get(b.t.Context(), path, nil, &answer))
	return answer
}

// TestListingsBeginFarthestFromTheVolumes loads a filter above a layer, which is a frame of its own.
func TestListingsBeginFarthestFromTheVolumes(t *testing.T) {
	b := scene(t)
	report(t, b.Do(t.Context(), http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare"}, nil))
	b.await(func(s manager.Snapshot) bool {
		attached := 0
		for _, slot := range s.Slots {
			if slot.Filter == "spare" && slot.State == topology.SlotAttached {
				attached++
			}
		}
		return attached == 5
	})
	var got strings.Builder
	for _, f := range get[Filters](b, "/v1/filters").Filters {
		fmt.Fprintln(&got, f.Name, f.Instances, f.Altitude, f.Frame)
	}
	for _, f := range get[Frames](b, "/v1/frames").Frames {
		fmt.Fprintln(&got, f.ID, f.Low, f.High, f.Filters, len(f.Links))
	}
	for _, in := range get[Instances](b, "/v1/instances?volume=2").Instances {
		fmt.Fprintln(&got, in.ID, in.Filter, in.Instance, in.Altitude, in.Frame, in.State, in.Why, in.By)
	}
	want := `spare 5 400 1
high 1 200 0
low 3 100 0
1 350 0 [spare] 5
0 0 350 [high low] 5
3.0.2 spare spare 400 1 attached  
2.1.2 high second 201.5 0 detached  its definition
2.0.2 high high 200 0 attached  
1.0.2 low low 100 0 attached  
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func TestVolumesArriveByteForByte(t *testing.T) {
	b := scene(t)
	list, err := b.Volumes(t.Context())
	if err != nil || !list.Complete || len(list.Volumes) != 5 {
		t.Fatalf("%+v, %v", list, err)
	}
	odd := list.Volumes[3]
	if odd.Info.Mounts[0].Point != "/odd\nplace" || odd.Links[0].State != "unsupported" || !strings.Contains(odd.Links[0].Why, "no handles") {
		t.Errorf("%+v", odd)
	}
}

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

// TestCellsTellWhatIsSeen of volumes on which instances are attached, or wait for the plane.
func TestCellsTellWhatIsSeen(t *testing.T) {
	for _, c := range []struct {
		slot  topology.SlotState
		link  topology.LinkState
		sight weir.Sight
		want  string
	}{
		{topology.SlotAttached, topology.LinkAttached, weir.SightFull, "attached"},
		{topology.SlotAttached, topology.LinkAttached, weir.SightLocal, "local only: others write to it"},
		{topology.SlotAttached, topology.LinkUnsupported, weir.SightScan, "scan only: others write to it"},
		{topology.SlotAttached, topology.LinkFailed, weir.SightFull, "scan only: because"},
		{topology.SlotPending, topology.LinkIdle, weir.SightFull, "pending: the filter has not been asked yet"},
		{topology.SlotPending, topology.LinkAttaching, weir.SightFull, "pending: the volume is not observed yet: that has begun, and it has not answered"},
		{topology.SlotSettingUp, topology.LinkAttached, weir.SightFull, "setting up: the filter has not answered yet"},
		{topology.SlotPending, topology.LinkFailed, weir.SightFull, "pending: the volume cannot be observed: because"},
	} {
		v := manager.VolumeSnapshot{
			Info:  weir.VolumeInfo{ID: 1, Sight: c.sight, SightReason: "others write to it"},
			Links: []manager.LinkSnapshot{{State: c.link}},
		}
		if c.link == topology.LinkUnsupported || c.link == topology.LinkFailed {
			v.Links[0].Why = "because"
		}
		s := manager.Snapshot{
			Filters: []manager.FilterSnapshot{{Name: "f", Scans: true}},
			Slots:   []manager.SlotSnapshot{{Filter: "f", Instance: "f", Volume: 1, State: c.slot}},
		}
		if got := cellOf(s, v, s.Slots, Column{Filter: "f", Instance: "f"}).String(); got != c.want {
			t.Errorf("%s on a link that is %s: %s, want %s", c.slot, c.link, got, c.want)
		}
	}
}

// TestVolumesOutOfReachAreNoFault while nobody can observe them, whatever a filter wants.
func TestVolumesOutOfReachAreNoFault(t *testing.T) {
	v := manager.VolumeSnapshot{
		Info:  weir.VolumeInfo{ID: 1, SightReason: "other mounts hide it", OutOfReach: true},
		Links: []manager.LinkSnapshot{{State: topology.LinkFailed, Why: "borrow: other mounts hide it"}},
	}
	s := manager.Snapshot{
		Complete: true, Volumes: []manager.VolumeSnapshot{v}, Filters: []manager.FilterSnapshot{{Name: "f", Wants: "create"}},
		Slots: []manager.SlotSnapshot{{Filter: "f", Instance: "f", Volume: 1, State: topology.SlotPending}},
	}
	c := coverageOf(s, nil, 1, time.Now())
	if got := c.Volumes[0].Cells[0].String(); got != "out of reach: other mounts hide it" || !c.Covered {
		t.Errorf("told: %s, and the faults are %q", got, c.Faults)
	}
	s.Volumes[0].Info.OutOfReach = false
	if c := coverageOf(s, nil, 1, time.Now()); c.Covered || c.Volumes[0].Cells[0].State != "pending" {
		t.Errorf("told: %+v", c)
	}
}

// TestWhatAFilterLeavesOutIsTold where it says what it wants, and where it says what an instance sees.
func TestWhatAFilterLeavesOutIsTold(t *testing.T) {
	b := scene(t)
	for _, f := range get[Filters](b, "/v1/filters").Filters {
		if want := map[string]string{"high": "dirs|own"}[f.Name]; f.Skips != want {
			t.Errorf("filter %s leaves out %q, want %q", f.Name, f.Skips, want)
		}
	}
	x, err := b.Explain(t.Context(), "/data/a")
	report(t, err)
	for _, in := range x.Passes[0].Instances {
		if want := map[string]string{"high": "dirs|own"}[in.Filter]; in.Skips != want {
			t.Errorf("instance %s leaves out %q, want %q", in.Instance, in.Skips, want)
		}
	}
}

// TestFilterThatDoesNotScanIsBlindWhereNothingIsTold in each answer by the same word, and that is a fault.
func TestFilterThatDoesNotScanIsBlindWhereNothingIsTold(t *testing.T) {
	b := begin(t, filter("deaf", "100", everywhere))
	v := memory.NewVolume(1, "/odd")
	v.Refuse(&weir.Error{Op: "attach", Kind: weir.KindUnsupported, Err: errors.New("no handles")})
	b.discovery.Mount(v)
	b.await(func(s manager.Snapshot) bool {
		return s.Slot("deaf", 1) != nil && s.Slot("deaf", 1).State == topology.SlotAttached
	})
	const why = "it does not scan, and is told of nothing: "
	c := get[Coverage](b, "/v1/coverage")
	if cell := c.Volumes[0].Cells[0]; cell.State != "blind" || !cell.Fault || c.Covered || !strings.Contains(c.Faults[0], "deaf is blind: "+why) {
		t.Errorf("coverage: %+v, %q", cell, c.Faults)
	}
	x, err := b.Explain(t.Context(), "/odd/a")
	if err != nil || x.Seen || x.Passes[0].Instances[0].Seen || !strings.Contains(x.Why, "deaf is blind: "+why) || len(x.Passes[0].Marks) != 1 {
		t.Errorf("explained: %+v, %v", x, err)
	}
	if in := b.instance("deaf", "deaf", 1); in.State != "blind" || !strings.Contains(in.Why, why) {
		t.Errorf("instance: %+v", in)
	}
	if f := get[Filters](b, "/v1/filters").Filters[0]; f.Instances != 1 || f.Blind != 1 || f.ScanOnly != 0 {
		t.Errorf("filter: %+v", f)
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

func TestNamesOfVolumes(t *testing.T) {
	info := weir.VolumeInfo{Source: "a b\n"}
	for _, c := range []struct {
		mounts []weir.Mount
		want   string
	}{
		{nil, `"a b\n"`},
		{[]weir.Mount{{Own: true}}, `"a b\n"`},
		{[]weir.Mount{{Point: "/jail"}, {Point: "/b"}}, "/jail [in another namespace]"},
		{[]weir.Mount{{Point: "/jail"}, {Own: true, Point: "/x\xff"}}, `"/x\xff"`},
	} {
		info.Mounts = c.mounts
		if got := NameOf(info); got != c.want {
			t.Errorf("%+v is called %s, want %s", c.mounts, got, c.want)
		}
	}
}

func TestExplanations(t *testing.T) {
	b := scene(t)
	for _, c := range []struct {
		path, want string
		seen       bool
	}{
		{"/data/a", "low attached true, high attached true, high/second detached false", true},
		{"/x", "low attached true, high declined false, high/second detached false", true},
		{"/odd\nplace", "low blind false, high declined false, high/second detached false", false},
		{"/sick/a", "low failed false, high declined false, high/second detached false", false},
		{"/merged/a", "low excluded false, high excluded false, high/second excluded false; low attached true, high attached true, high/second detached false", true},
	} {
		x, err := b.Explain(t.Context(), c.path)
		if err != nil {
			t.Fatal(err)
		}
		var passes []string
		for _, p := range x.Passes {
			var instances []string
			for _, in := range p.Instances {
				instances = append(instances, fmt.Sprint(in.Column, " ", in.State, " ", in.Seen))
			}
			passes = append(passes, strings.Join(instances, ", "))
		}
		if got := strings.Join(passes, "; "); got != c.want || x.Seen != c.seen || (x.Why == "") != x.Passes[0].Seen {
			t.Errorf("%q: seen %t, %s, because %q\nwant %t, %s", c.path, x.Seen, got, x.Why, c.seen, c.want)
		}
	}
	layer, err := b.Explain(t.Context(), "/merged")
	if err != nil || layer.Passes[0].Altitude.String() != "350" || layer.Passes[1].Above != 3 || layer.Passes[1].Marks[0].Plane != "memory" {
		t.Errorf("%+v, %v", layer, err)
	}
}

// TestUnknownPathsAreNotSeen has no volume at all.
func TestUnknownPathsAreNotSeen(t *testing.T) {
	b := begin(t)
	if x, err := b.Explain(t.Context(), "/a"); err != nil || x.Seen || !strings.Contains(x.Why, "there is no such path") {
		t.Errorf("%+v, %v", x, err)
	}
	b.discovery.Mount(memory.NewVolume(1, "/"))
	b.await(func(s manager.Snapshot) bool { return len(s.Volumes) == 1 })
	if x, err := b.Explain(t.Context(), "/a"); err != nil || x.Seen || !strings.Contains(x.Why, "no filter is loaded") {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestBrokenRulesAreListed also has those of a filter that is gone.
func TestBrokenRulesAreListed(t *testing.T) {
	broken := []verify.Count{{Filter: "gone", Rule: "leaked-hold", Count: 2}}
	if list := filtersOf(manager.Snapshot{Violations: broken}, nil); !slices.Equal(list.Violations, broken) {
		t.Errorf("listed %+v", list.Violations)
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

func TestFiltersHaveTheGroupsOfTheirAltitudes(t *testing.T) {
	s := manager.Snapshot{Filters: []manager.FilterSnapshot{
		{Name: "a", Altitude: weir.MustAltitude("309999.5")}, {Name: "b", Altitude: weir.MustAltitude("310000")},
	}}
	if list := filtersOf(s, nil).Filters; list[0].Group != "" || list[1].Group != "Replication" {
		t.Errorf("%+v", list)
	}
}

// The slowest calls are listed as the description says, and with names that are fit for a terminal.
func TestSlowestCallsAreListed(t *testing.T) {
	stats := statsOf(&dispatch.Stats{Slowest: []dispatch.Slow{
		{Callback: "Pre", Operation: weir.OpCreate, Count: 1, Entry: "a\n", Volume: 7, Took: time.Second, Began: time.Unix(1, 0)},
		{Callback: "Completed", Operation: weir.Changes, Count: 9, Volume: 8, Took: time.Millisecond, Began: time.Unix(2, 0)},
	}})
	if len(stats.Slowest) != 2 || stats.Slowest[0].Entry != `"a\n"` || stats.Slowest[1].Entry != "" {
		t.Errorf("%+v", stats.Slowest)
	}
	text, err := json.Marshal(stats)
	report(t, err)
	var value any
	report(t, json.Unmarshal(text, &value))
	report(t, document(t).Components.Schemas["Stats"].Value.VisitJSON(value))
}

// TestScanThatIsOverdueIsAFault whatever the volume tells by itself, and an event at the path is not seen.
func TestScanThatIsOverdueIsAFault(t *testing.T) {
	for _, sight := range []weir.Sight{weir.SightScan, weir.SightLocal} {
		v := manager.VolumeSnapshot{Info: weir.VolumeInfo{ID: 1, Sight: sight}, Links: []manager.LinkSnapshot{{State: topology.LinkAttached}}}
		if sight == weir.SightScan {
			v.Links[0] = manager.LinkSnapshot{State: topology.LinkUnsupported, Why: "no handles"}
		}
		s := manager.Snapshot{
			Complete: true, Volumes: []manager.VolumeSnapshot{v}, Filters: []manager.FilterSnapshot{{Name: "f", Wants: "create", Scans: true}},
			Slots: []manager.SlotSnapshot{{Filter: "f", Instance: "f", Volume: 1, State: topology.SlotAttached,
				Remarks: []weir.Remark{{Volume: 1, Path: "/a", Overdue: time.Now(), Why: "it hangs"}}}},
		}
		c := coverageOf(s, nil, 1, time.Now())
		if cell := c.Volumes[0].Cells[0]; cell.State != "scan overdue" || !strings.HasSuffix(cell.Why, "/a: it hangs") || !cell.nothing || c.Covered {
			t.Errorf("%v: told %+v, and the faults are %q", sight, cell, c.Faults)
		}
	}
}
