package control

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
)

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

// TestIdleInstancesSayWhatTheyWouldSee of a volume that tells of nothing, and say no more of others.
func TestIdleInstancesSayWhatTheyWouldSee(t *testing.T) {
	for _, c := range []struct {
		link  topology.LinkState
		scans bool
		want  string
	}{
		{topology.LinkAttached, false, "attached: it asks for nothing now"},
		{topology.LinkUnsupported, false, "attached: it asks for nothing now; if it did, it would be blind: it does not scan, and is told of nothing: no handles"},
		{topology.LinkUnsupported, true, "attached: it asks for nothing now; if it did, it would be scan only: no handles"},
	} {
		v := manager.VolumeSnapshot{
			Info:  weir.VolumeInfo{ID: 1, Sight: weir.SightScan, SightReason: "no handles"},
			Links: []manager.LinkSnapshot{{State: c.link}},
		}
		s := manager.Snapshot{
			Filters: []manager.FilterSnapshot{{Name: "f", Scans: c.scans}},
			Slots:   []manager.SlotSnapshot{{Filter: "f", Instance: "f", Volume: 1, State: topology.SlotAttached, Idle: true}},
		}
		if got := cellOf(s, v, s.Slots, Column{Filter: "f", Instance: "f"}); got.String() != c.want || got.Fault {
			t.Errorf("on a link that is %s: %s, fault %v, want %s", c.link, got, got.Fault, c.want)
		}
	}
}

// TestVolumesOutOfReachAreNoFault while nobody can observe them, whatever a filter wants.
func TestVolumesOutOfReachAreNoFault(t *testing.T) {
	v := manager.VolumeSnapshot{
		Info:  weir.VolumeInfo{ID: 1},
		Links: []manager.LinkSnapshot{{State: topology.LinkFailed, Why: "borrow: other mounts hide it", OutOfReach: "other mounts hide it"}},
	}
	s := manager.Snapshot{
		Complete: true, Volumes: []manager.VolumeSnapshot{v}, Filters: []manager.FilterSnapshot{{Name: "f", Wants: "create"}},
		Slots: []manager.SlotSnapshot{{Filter: "f", Instance: "f", Volume: 1, State: topology.SlotPending}},
	}
	c := coverageOf(s, nil, 1, time.Now())
	if got := c.Volumes[0].Cells[0].String(); got != "out of reach: other mounts hide it" || !c.Covered {
		t.Errorf("told: %s, and the faults are %q", got, c.Faults)
	}
	s.Frames = []manager.FrameSnapshot{{}}
	if l := framesOf(s).Frames[0].Links[0]; l.State != "out of reach" || l.Why != "other mounts hide it" {
		t.Errorf("the frame is %s: %s", l.State, l.Why)
	}
	s.Volumes[0].Links[0].OutOfReach = ""
	if l := framesOf(s).Frames[0].Links[0]; l.State != "failed" {
		t.Errorf("the frame is %s: %s", l.State, l.Why)
	}
	if c := coverageOf(s, nil, 1, time.Now()); c.Covered || c.Volumes[0].Cells[0].State != "pending" {
		t.Errorf("told: %+v", c)
	}
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
