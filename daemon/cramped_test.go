package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// crampedScene has a source of 120 files, and a target with 60 inodes.
func crampedScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, from: voltest.New(t, "tmpfs"), to: voltest.New(t, "tmpfs", voltest.Data("nr_inodes=60"))}
	s.src, s.dst = mkdir(t, s.from.Dir+"/s"), mkdir(t, s.to.Dir+"/r")
	for n := range 120 {
		write(t, s.in(name("f", n)), "content")
	}
	s.o = Options{Source: s.src, Targets: []string{s.dst}, State: t.TempDir() + "/state"}
	return s
}

// TestNoInodesOnTheTarget mirrors more files than the target has inodes: what fits is there, and durable.
func TestNoInodesOnTheTarget(t *testing.T) {
	voltest.RequireRoot(t)
	s := crampedScene(t)
	if _, err := s.once(); weir.KindOf(err) != weir.KindDiffers || strings.Contains(err.Error(), "record of what is durable") {
		t.Errorf("it ends with %v", err)
	}
	s.begin()
	s.await("what fits is durable", func() bool { return !s.unit(s.src, s.dst).Durable.IsZero() })
	for n := range 100 {
		if err := os.Remove(s.in(name("f", n))); err != nil {
			t.Fatal(err)
		}
	}
	s.alike()
	s.end()
}

// TestNoRoomForTheRecord takes the record of what is durable from a target that has no inode left for another one.
func TestNoRoomForTheRecord(t *testing.T) {
	voltest.RequireRoot(t)
	s := crampedScene(t)
	if _, err := s.once(); err == nil {
		t.Fatal("everything has room")
	}
	without := func() {
		t.Helper()
		if err := os.Remove(s.at(".weir/generation")); err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			if err := os.WriteFile(fmt.Sprintf("%s/filler%d", s.to.Dir, n), nil, 0o600); err != nil {
				return
			}
		}
	}
	without()
	if _, err := s.once(); weir.KindOf(err) != weir.KindDiffers || !strings.Contains(err.Error(), string(replicate.PhaseFull)) {
		t.Errorf("it ends with %v", err)
	}
	begun := time.Now()
	s.begin()
	s.await("the target says that it is full", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseFull })
	s.endBehind()
	if took := time.Since(begun); took > 4*time.Second || strings.Contains(s.log.Output.String(), "sync of the target failed") {
		t.Errorf("it took %v to begin and to end\n%s", took, s.log)
	}
}

// TestLargeFileOnAFullTarget has a file that does not fit on a file system that does not tell: it is not filled with it over
// and over.
func TestLargeFileOnAFullTarget(t *testing.T) {
	voltest.RequireRoot(t)
	s := &scene{t: t, from: voltest.New(t, "ext4", voltest.Size(300<<20)), to: voltest.New(t, "btrfs", voltest.Size(130<<20))}
	s.src, s.dst = mkdir(t, s.from.Dir+"/s"), mkdir(t, s.to.Dir+"/r")
	s.o = Options{Source: s.src, Targets: []string{s.dst}, State: t.TempDir() + "/state"}
	large := strings.Repeat("large", 25<<20)
	write(t, s.in("large"), large)
	s.begin()
	s.within(5*time.Second, "the target says that it is full", func() bool {
		return s.unit(s.src, s.dst).Phase == replicate.PhaseFull
	})
	before := s.m.Status().Written
	if before < int64(len(large))/10 {
		t.Errorf("%d bytes were written: it was not tried", before)
	}
	time.Sleep(4 * time.Second)
	if again := s.m.Status().Written - before; again > 0 {
		t.Errorf("%d bytes were written within 4 seconds, after %d", again, before)
	}
	write(t, s.in("large"), large[:20<<20])
	s.alike()
	s.end()
}
