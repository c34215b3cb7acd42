package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// once runs a mirror to the end.
func (s *scene) once() (replicate.Status, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	m, err := Open(ctx, s.o)
	if err != nil {
		return replicate.Status{}, err
	}
	defer m.Close()
	err = m.Run(ctx, true)
	return m.Status(), err
}

// aside returns the contents of what was set aside under a path, one for each run that did.
func (s *scene) aside(rel string) (texts []string) {
	s.t.Helper()
	found, err := filepath.Glob(s.at(".weir/set-aside/*/" + rel))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range found {
		texts = append(texts, text(s.t, path))
	}
	return texts
}

// TestForgetPlace gives up a volume that was mounted in the source, and one in that, in the ways in which what is there
// then may look.
func TestForgetPlace(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		v := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("media/disk"))))
		populate(t, v.Dir, 3, 4)
		inner := voltest.New(t, "tmpfs", voltest.At(mkdir(t, s.in("media/disk/d000/in"))))
		write(t, s.in("media/disk/d000/in/f"), "inner")
		s.begin()
		s.alike()
		s.end()
		equal := text(t, s.in("media/disk/d001/f001"))

		t.Log("what is mounted, or was not replicated, is not forgotten")
		s.refuses("a volume is mounted there; unmount it", "media/disk")
		s.refuses("no volume was replicated from there; known are: ", "media")
		s.refuses("it is not below the source", "/dev")
		s.refuses("it is not below the source", "../x")
		s.refuses("it is not below the source", s.src)

		t.Log("an ordinary directory stands there, made anew")
		inner.Unmount()
		v.Unmount()
		remove(t, s.in("media/disk"))
		mkdir(t, s.in("media/disk/d001"))
		write(t, s.in("media/disk/d001/f001"), equal)
		write(t, s.in("media/disk/d001/f002"), "other")
		write(t, s.in("media/disk/new"), "1")
		status, err := s.once()
		if weir.KindOf(err) != weir.KindDiffers {
			t.Errorf("one run without the volume ends with %v", err)
		}
		for _, u := range status.Units {
			if u.Place != s.src && !strings.Contains(u.Todo, "--forget "+u.Place) {
				t.Errorf("%+v", u)
			}
		}
		s.forgets("media/disk")
		if kept := s.aside("media/disk/d002/f003"); len(kept) != 1 || kept[0] != name("content", 11) {
			t.Errorf("set aside: %q", kept)
		}
		if kept := s.aside("media/disk/d001/f001"); len(kept) != 0 {
			t.Errorf("what was equal is set aside: %q", kept)
		}
		if kept := s.aside("media/disk/d000/in/f"); len(kept) != 1 {
			t.Errorf("the replica of the inner volume: %q", kept)
		}
		s.refuses("known are: none", "media/disk")

		t.Log("it comes back as a place like any other")
		s.o.Forget = nil
		v.MountAt(s.in("media/disk"))
		s.begin()
		s.alike()
		s.end()
		if kept := s.aside("media/disk/new"); len(kept) != 1 {
			t.Errorf("what was in the mount point: %q", kept)
		}

		t.Log("nothing stands there any more")
		v.Unmount()
		remove(t, s.in("media"))
		s.forgets(s.in("media/disk"))
		if !absent(s.at("media")) {
			t.Error("the replica is still there")
		}
		if kept := s.aside(".weir/parked/*/*/disk/d002/f003"); len(kept) != 1 {
			t.Errorf("set aside: %q", kept)
		}

		t.Log("what it was mounted on has left the source and lives on elsewhere")
		s.o.Forget = nil
		v.MountAt(mkdir(t, s.in("outer/m")))
		s.begin()
		s.alike()
		v.Unmount()
		s.awaitPhase(s.in("outer/m"), replicate.PhaseSourceAbsent)
		rename(t, s.in("outer"), filepath.Join(s.from.Dir, "elsewhere"))
		s.await("the replica is parked", func() bool { return absent(s.at("outer")) })
		s.end()
		s.forgets("outer/m")
		if kept := s.aside(".weir/parked/*/*/m/d002/f003"); len(kept) != 1 {
			t.Errorf("set aside: %q", kept)
		}
	})
}

// refuses wants a start to be refused that is to forget a place.
func (s *scene) refuses(why, place string) {
	s.t.Helper()
	o := s.o
	o.Forget = []string{place}
	m, err := Open(s.t.Context(), o)
	if err == nil {
		m.Close()
	}
	if weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), why) {
		s.t.Errorf("--forget %s: %v, want %q", place, err, why)
	}
	before := everyFile(s.t, s.o.State)
	if _, err := DryRun(s.t.Context(), o, func(replicate.Change) {}); weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), why) {
		s.t.Errorf("--dry-run --forget %s: %v, want %q", place, err, why)
	}
	if after := everyFile(s.t, s.o.State); after != before {
		s.t.Errorf("a dry run has changed the state:\n%s\n%s", before, after)
	}
}

// everyFile lists the files of a directory with their times.
func everyFile(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, path := range listing(t, dir) {
		if info, err := os.Lstat(filepath.Join(dir, path)); err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
	}
	return b.String()
}

// forgets has a mirror forget a place, and wants it to be as if no volume had been there.
func (s *scene) forgets(place string) {
	s.t.Helper()
	s.o.Forget = []string{place}
	acts := make(map[replicate.Act]int)
	if _, err := DryRun(s.t.Context(), s.o, func(c replicate.Change) { acts[c.Act]++ }); err != nil || acts[replicate.ActForget] == 0 {
		s.t.Errorf("a dry run says %v, %v", acts, err)
	}
	s.begin()
	s.alike()
	for _, u := range s.m.Status().Units {
		if u.Place != s.src {
			s.t.Errorf("%s is still a place: %+v", u.Place, u)
		}
	}
	s.end()
	s.o.Forget = nil
	if status, err := s.once(); err != nil || status.Copied > 0 {
		s.t.Errorf("the next run copies %d files and ends with %v", status.Copied, err)
	}
	s.o.Forget = []string{place}
}

// TestLeftOutPlace has a mirror leave out by an option what it has replicated before.
func TestLeftOutPlace(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	v := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("m"))))
	write(t, s.in("m/f"), "1")
	s.begin()
	s.alike()
	s.end()
	for _, mounted := range []bool{true, false} {
		s.o.OneVolume = true
		write(t, s.in("m/f"), "2")
		write(t, s.in("g"), "2")
		status, err := s.once()
		if err != nil {
			t.Errorf("mounted %v: %v", mounted, err)
		}
		found := false
		for _, u := range status.Units {
			found = found || u.Place == s.in("m") && u.Phase == replicate.PhaseLeftOut && u.Reason == "by --one-volume; its replica stays as it is"
		}
		if !found {
			t.Errorf("%+v", status.Units)
		}
		s.begin()
		write(t, s.in("g"), "3")
		s.awaitText(s.at("g"), "3")
		s.quiet(5 * time.Second)
		s.end()
		if text(t, s.at("m/f")) != "1" {
			t.Error("what is left out was changed")
		}
		if strings.Contains(s.log.String(), "absent") {
			t.Errorf("it is told to be absent: %s", s.log)
		}
		s.o.OneVolume = false
		if mounted {
			v.Unmount()
		}
	}
}
