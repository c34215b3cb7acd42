package ledger

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weirfs/weir"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// clock ticks a second at each look.
type clock struct{ at time.Time }

func (c *clock) now() time.Time {
	c.at = c.at.Add(time.Second)
	return c.at
}

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)} }

func info(id weir.VolumeID) weir.VolumeInfo {
	return weir.VolumeInfo{
		ID: id, Source: fmt.Sprintf("/dev/disk\n%d", id), Device: "8:1", Label: "data",
		Identity: weir.Identity{FSType: "ext4", UUID: fmt.Sprint("uuid", id), RootHandle: "\x01\x00\x00\x00\xff", RootBirth: time.Unix(1, 2).UTC()},
		Mounts:   []weir.Mount{{Point: "/mnt/a b", Own: true}},
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mustOpen(t testing.TB, dir string, c *clock) *Ledger {
	t.Helper()
	l, err := open(dir, c.now)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// story is a session with every kind of record.
func story(t testing.TB, l *Ledger, c *clock) {
	t.Helper()
	must(t, l.VolumeArrived(info(1), true), l.VolumeArrived(info(2), false), l.VolumeArrived(info(3), false))
	must(t, l.SightChanged(1, "observed", ""), l.SightChanged(2, "scan only", "no handles"))
	must(t, l.SlotChanged(Slot{Volume: 1, Filter: "replicate", State: "pending"}))
	must(t, l.SlotChanged(Slot{Volume: 1, Filter: "replicate", State: "attached"}))
	must(t, l.SlotChanged(Slot{Volume: 2, Filter: "replicate", State: "failed", Why: "disk on fire"}))
	for id := range weir.VolumeID(3) {
		_, err := l.OpenGap(info(id+1), "replicate", c.at, "mounted by somebody else")
		must(t, err)
	}
	must(t, l.CloseGap(1, "scan 1"), l.VolumeLeft(3))
}

func TestReopenedLedgerKnowsWhatWasSaid(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	story(t, l, c)
	gaps, volumes := l.Gaps(), l.Volumes()
	if len(volumes) != 3 || volumes[0].Sight != "observed" || volumes[0].Slots[0].State != "attached" || volumes[2].Left.IsZero() {
		t.Errorf("volumes are %+v", volumes)
	}
	if gaps[0].Open() || !gaps[1].Open() || !gaps[1].To.IsZero() || !gaps[2].Open() || gaps[2].To.IsZero() {
		t.Errorf("gaps are %+v", gaps)
	}
	must(t, l.Close(), l.Close())
	if err := l.VolumeLeft(1); err == nil {
		t.Error("wrote to a closed ledger")
	}

	l = mustOpen(t, dir, c)
	if l.Session() != 2 || l.Damaged() != 0 {
		t.Errorf("session %d, %d damaged", l.Session(), l.Damaged())
	}
	got := l.Gaps()
	if diff := cmp.Diff(gaps[0], got[0]); diff != "" {
		t.Error(diff)
	}
	last := got[len(got)-1]
	if len(got) != 4 || last.Cause != "weir was not running" || last.Filter != "replicate" || !last.To.IsZero() {
		t.Errorf("gaps of a former session are %+v", got)
	}
	for _, v := range l.Volumes() {
		if v.Left.IsZero() || len(v.Slots) > 0 {
			t.Errorf("volume of a former session is there: %+v", v)
		}
	}
}

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

func TestGolden(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	story(t, l, c)
	must(t, l.Close())
	got, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	const golden = "testdata/version1"
	if *update {
		must(t, os.MkdirAll("testdata", 0o755), os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestCutAtEveryByte(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	story(t, l, c)
	must(t, l.Close())
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	for cut := range data {
		b, sound, damaged, err := load(data[:cut])
		if err != nil || damaged != 0 {
			t.Fatalf("cut at %d: %d damaged, error %v", cut, damaged, err)
		}
		whole := bytes.LastIndexByte(data[:cut], '\n') + 1
		if sound != whole {
			t.Fatalf("cut at %d: %d bytes are sound, want %d", cut, sound, whole)
		}
		if lines := bytes.Count(data[:whole], []byte{'\n'}); lines > 2 && len(b.volumes) == 0 {
			t.Fatalf("cut at %d: no volume in %d lines", cut, lines)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, fileName), data[:len(data)-7], 0o600))
	l = mustOpen(t, dir, c)
	if l.Damaged() != 1 || l.First() {
		t.Errorf("%d damaged by a cut, first %v", l.Damaged(), l.First())
	}
	must(t, l.VolumeArrived(info(9), false), l.Close())
	if l = mustOpen(t, dir, c); l.Damaged() != 0 || len(l.Volumes()) != 4 {
		t.Errorf("%d damaged, volumes %+v", l.Damaged(), l.Volumes())
	}
}

func TestDamageInTheMiddleIsCounted(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	story(t, l, c)
	must(t, l.Close())
	path := filepath.Join(dir, fileName)
	data, err := os.ReadFile(path)
	must(t, err)
	data[bytes.Index(data, []byte("uuid2"))] ^= 1
	must(t, os.WriteFile(path, data, 0o600))
	if l = mustOpen(t, dir, c); l.Damaged() != 1 || len(l.Volumes()) != 2 {
		t.Errorf("%d damaged, volumes %+v", l.Damaged(), l.Volumes())
	}
}

func TestSizeIsBounded(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l := mustOpen(t, dir, c)
	for i := range 6000 {
		v := info(weir.VolumeID(i))
		must(t, l.VolumeArrived(v, false))
		id, err := l.OpenGap(v, "replicate", c.at, "mounted by somebody else")
		must(t, err, l.CloseGap(id, "scan"), l.VolumeLeft(v.ID))
	}
	must(t, l.Sync())
	stat, err := os.Stat(filepath.Join(dir, fileName))
	must(t, err)
	if stat.Size() > 4<<20 {
		t.Errorf("%d bytes after 6,000 volumes have come and gone", stat.Size())
	}
}

// TestWriteThatFails has the file refuse writes for a while, and its directory, too.
func TestWriteThatFails(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	l, wake := mustOpen(t, dir, c), make(chan struct{}, 2)
	l.Notify(wake)
	must(t, l.VolumeArrived(info(1), false), l.file.Close())
	l.dir = filepath.Join(dir, "missing")
	id, err := l.OpenGap(info(1), "f", c.at, "a")
	must(t, err, l.Sync(), l.VolumeArrived(info(2), false))
	if l.Health() == nil || l.Retry() == nil {
		t.Error("it is written, which cannot be")
	}
	if l.Notify(wake); len(wake) != 2 {
		t.Errorf("%d tokens, want one for the failure, and one for who comes later", len(wake))
	}
	l.dir = dir
	if err := l.Retry(); err != nil || l.Health() != nil {
		t.Errorf("error %v, health %v", err, l.Health())
	}
	must(t, l.CloseGap(id, "scan"), l.Sync())
	b, damaged, err := readFile(dir) // as after a kill
	if err != nil || damaged > 0 || len(b.volumes) != 2 || b.gaps[id] == nil || b.gaps[id].Open() {
		t.Errorf("the file says %+v, %d damaged, error %v", b, damaged, err)
	}

	must(t, l.file.Close(), l.VolumeLeft(2)) // an end writes what it can
	if l.Health() == nil {
		t.Error("it is written, which cannot be")
	}
	must(t, l.Close())
	if left := mustOpen(t, dir, c).Volumes()[1]; left.Left.IsZero() {
		t.Errorf("the volume is %+v", left)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	line, err := encode(record{Kind: kindHeader, Version: version + 1})
	must(t, err, os.WriteFile(filepath.Join(dir, fileName), line, 0o600))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "move the file aside") {
		t.Errorf("error %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	dir, c := f.TempDir(), newClock()
	l, err := open(dir, c.now)
	must(f, err)
	story(f, l, c)
	must(f, l.Close())
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	must(f, err)
	f.Add(data)
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		if _, body, ok := bytes.Cut(line, []byte{' '}); ok {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, sound, _, err := load(data); err == nil && sound > len(data) {
			t.Errorf("%d of %d bytes are sound", sound, len(data))
		}
		// With the right checksum any JSON gets as far as the book.
		b := newBook()
		for line := range bytes.SplitSeq(data, []byte{'\n'}) {
			if r, err := decode(sign(line)); err == nil {
				b.apply(r)
			}
		}
		for _, r := range b.records() {
			if _, err := encode(r); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
	})
}

// sign puts the checksum before a line.
func sign(body []byte) []byte {
	return fmt.Appendf(nil, "%08x %s", crc32.Checksum(body, table()), body)
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
