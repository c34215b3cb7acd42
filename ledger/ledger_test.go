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
