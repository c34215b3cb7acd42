package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
)

func TestScanClosesGapsOfTheSameVolume(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	story(t, l, c)
	must(t, l.Close())
	l = mustOpen(t, dir, c)
	again := info(1)
	again.ID = 77
	must(t, l.VolumeArrived(again, true))
	_, err := l.OpenGap(again, "replicate", c.at, "mounted by somebody else")
	must(t, err)
	began := c.now()
	later, err := l.OpenGap(again, "replicate", c.now(), "overflow")
	must(t, err)
	must(t, l.CloseGaps(again, "replicate", began, "scan 5"))
	var open []string
	for _, g := range l.Gaps() {
		if g.Open() {
			open = append(open, fmt.Sprint(g.ID, g.Identity.UUID))
		}
	}
	if got, want := strings.Join(open, " "), fmt.Sprintf("2uuid2 3uuid3 %duuid1", later); got != want {
		t.Errorf("open gaps are %s, want %s", got, want)
	}
}

// TestGapWithAnEnd has gaps that are over while their volume is there: a scan closes them that began after their end.
func TestGapWithAnEnd(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	must(t, l.VolumeArrived(info(1), false), l.VolumeArrived(info(2), false))
	from := c.now()
	within, until := c.now(), c.now()
	gap := Gap{Filter: "f", From: from, Until: until, Cause: "a queue was full"}
	closed := gap
	closed.ClosedBy = "nobody"
	must(t, l.Missed(info(1), gap), l.Missed(info(2), gap), l.Missed(info(1), closed), l.CloseGaps(info(1), "f", within, "too early"))
	if g := l.Gaps(); !g[0].Open() || !g[0].To.IsZero() || !g[0].Ended().Equal(until) || g[2].Open() || !g[2].To.Equal(until) {
		t.Errorf("gaps are %+v", g)
	}
	must(t, l.CloseGaps(info(1), "f", until, "in time"), l.VolumeLeft(2), l.Close())
	for _, g := range mustOpen(t, dir, c).Gaps() {
		if !g.To.Equal(until) || g.Open() != (g.Volume == 2) {
			t.Errorf("gap is %+v", g)
		}
	}
}

// TestGapWaitsForAVolumeThatIsNotThere opens one of which nobody knows when it began, and has the volume come later, in this
// session or in the next one.
func TestGapWaitsForAVolumeThatIsNotThere(t *testing.T) {
	for _, again := range []bool{false, true} {
		dir, c := t.TempDir(), newClock()
		l := mustOpen(t, dir, c)
		away, other := info(0), info(0)
		other.Identity, other.Mounts = weir.Identity{FSType: "fuse"}, nil
		_, err := l.OpenGap(away, "f", time.Time{}, "the ledger was lost")
		_, err2 := l.OpenGap(other, "f", time.Time{}, "the ledger was lost")
		must(t, err, err2)
		if again {
			must(t, l.Close())
			l = mustOpen(t, dir, c)
		}
		gaps := l.Gaps()
		if !gaps[0].Open() || !gaps[0].From.IsZero() || !gaps[0].Ended().IsZero() || gaps[1].Ended().IsZero() {
			t.Errorf("before the volume has come: %+v", gaps)
		}
		there := info(7)
		there.Identity = away.Identity
		must(t, l.VolumeArrived(there, false), l.CloseGaps(there, "f", c.now(), "a scan"))
		if gaps = l.Gaps(); gaps[0].ClosedBy != "a scan" || gaps[0].Ended().IsZero() || !gaps[1].Open() {
			t.Errorf("when it was scanned: %+v", gaps)
		}
	}
}

// TestVolumeWithoutIdentityIsKnownByItsPlace has a gap of a former session on a volume that nothing tells from others.
func TestVolumeWithoutIdentityIsKnownByItsPlace(t *testing.T) {
	fuse := func(source, point string) weir.VolumeInfo {
		return weir.VolumeInfo{ID: 7, Source: source, Identity: weir.Identity{FSType: "fuse"}, Mounts: []weir.Mount{
			{Point: "/elsewhere", Own: true}, {Point: point, Own: true},
		}}
	}
	named, other := fuse("a", "/m"), fuse("a", "/m")
	named.Identity.UUID, other.Identity.FSType = "u", "fuse.sshfs"
	foreign := fuse("a", "/m")
	foreign.Mounts[1].Own = false
	gap := Gap{Session: 1, Volume: 3, Source: "a", Point: "/m", Identity: weir.Identity{FSType: "fuse"}}
	unnumbered := gap
	unnumbered.Volume, unnumbered.Source = 0, "/m"
	for name, c := range map[string]struct {
		volume weir.VolumeInfo
		gap    Gap
		on     bool
	}{
		"the same":                                {fuse("a", "/m"), gap, true},
		"another source":                          {fuse("b", "/m"), gap, false},
		"another place":                           {fuse("a", "/n"), gap, false},
		"another namespace":                       {foreign, gap, false},
		"another type":                            {other, gap, false},
		"one that is known":                       {named, gap, false},
		"the place, of a ledger that is lost":     {fuse("a", "/m"), unnumbered, true},
		"another place, of a ledger that is lost": {fuse("a", "/n"), unnumbered, false},
	} {
		if got := c.gap.On(2, c.volume); got != c.on {
			t.Errorf("%s: %v", name, got)
		}
	}
	if gap.On(1, fuse("a", "/m")) {
		t.Error("two volumes of one session count as one while the first is there")
	}
}

// TestGapKnowsWhereItsVolumeWas in weir's own namespace, also when that has left before, or with a session.
func TestGapKnowsWhereItsVolumeWas(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	there, left, ends := info(1), info(2), info(3)
	there.Mounts = []weir.Mount{{Point: "/container"}, {Point: "/mnt/a\nb", Own: true}}
	ends.Mounts = []weir.Mount{{Point: "/container"}, {Point: "/mnt/a b", Own: true}}
	left.Mounts, left.Was = nil, []weir.Mount{{Point: "/was", Own: true}}
	must(t, l.VolumeArrived(ends, true), l.SlotChanged(Slot{Volume: 3, Filter: "f", State: "attached"}))
	_, err := l.OpenGap(there, "f", c.at, "a")
	_, err2 := l.OpenGap(left, "f", c.at, "b")
	must(t, err, err2, l.Close())
	var points []string
	for _, g := range mustOpen(t, dir, c).Gaps() {
		points = append(points, g.Point)
	}
	if got, want := strings.Join(points, " "), weir.QuotePath("/mnt/a\nb")+" /was "+weir.QuotePath("/mnt/a b"); got != want {
		t.Errorf("the points are %s, want %s", got, want)
	}
}
