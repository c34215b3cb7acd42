package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestWatchKeepsNobody has 100,000 operations on a volume that is mirrored, while one watcher reads, one does not, and one is
// killed.
func TestWatchKeepsNobody(t *testing.T) {
	const files = 50_000
	s := newStage(t)
	s.source = voltest.New(t, "tmpfs").Dir
	s.mirror()
	engine := s.engine()
	reading, stalled, killed := watch(t, s.source), watch(t, s.source), watch(t, s.source)
	stalled.signal(unix.SIGSTOP)
	killed.signal(unix.SIGKILL)
	begun := time.Now()
	for i := range files {
		name := fmt.Sprint(s.source, "/f", i)
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Remove(name)); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(begun)
	s.write("after")
	begun = time.Now()
	s.arrives("after", s.good)
	t.Logf("the storm took %v, the mirror was %v behind, the engine has %d MiB", took, time.Since(begun), resident(t, engine)>>20)
	if size := resident(t, engine); size > 700<<20 {
		t.Errorf("the engine has grown to %d MiB", size>>20)
	}
	told := func(w watched) (all, dropped uint64) {
		events, dropped := w.events()
		seen := map[string]bool{}
		for _, e := range events {
			seen[e.Path] = true
		}
		return uint64(len(seen)), dropped
	}
	eventually(t, 30*time.Second, func() error {
		if all, dropped := told(reading); all+dropped < files && !strings.Contains(reading.output(), "operations were lost") {
			return fmt.Errorf("%d names told and %d operations dropped of %d", all, dropped, files)
		}
		return nil
	})
	stalled.signal(unix.SIGCONT)
	eventually(t, 30*time.Second, func() error {
		all, dropped := told(stalled)
		if dropped == 0 || all+dropped < files && !strings.Contains(stalled.output(), "operations were lost") {
			return fmt.Errorf("%d names told and %d operations dropped of %d", all, dropped, files)
		}
		return nil
	})
	for _, w := range []watched{reading, stalled} {
		w.interrupt(`"event":"end"`)
	}
}

// resident returns how much memory a process has.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestWatchByNameCountsTheRest has 200 processes that are gone at once: what each did is told, or counted.
func TestWatchByNameCountsTheRest(t *testing.T) {
	const many = 200
	s := newStage(t)
	s.source = voltest.New(t, "tmpfs").Dir
	s.mirror()
	named, gone := watch(t, s.source, "--comm", "touch"), watch(t, s.source, "--comm", "exited")
	for i := range many {
		if err := exec.Command("touch", fmt.Sprint(s.source, "/f", i)).Run(); err != nil {
			t.Fatal(err)
		}
	}
	paths := func(w watched) map[string]bool {
		told := map[string]bool{}
		events, dropped := w.events()
		for _, e := range events {
			told[e.Path] = true
		}
		if dropped > 0 {
			t.Errorf("%d dropped", dropped)
		}
		return told
	}
	eventually(t, 10*time.Second, func() error {
		together := paths(named)
		maps.Copy(together, paths(gone))
		if len(together) != many {
			return fmt.Errorf("%d files of %d are told", len(together), many)
		}
		return nil
	})
	named.interrupt(`"undecided":`)
	if n, told := undecided(t, named), len(paths(named)); n+told < many || told < many && !strings.Contains(named.output(), `"event":"undecided"`) {
		t.Errorf("%d files are told and %d operations undecided of %d\n%s", told, n, many, named.output())
	}
}

// undecided returns the number in the end.
func undecided(t *testing.T, w watched) int {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(w.output()), "\n")
	var end struct{ Undecided int }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
		t.Fatal(err)
	}
	return end.Undecided
}

// TestWatchTellsWhatItHasNotSeen mounts below what is watched, with mount(2) and with weir mount.
func TestWatchTellsWhatItHasNotSeen(t *testing.T) {
	s := newStage(t)
	s.source = voltest.New(t, "tmpfs").Dir
	s.mirror()
	w := watch(t, s.source)
	theirs, ours := filepath.Join(s.source, "theirs"), filepath.Join(s.source, "ours")
	for _, dir := range []string{theirs, ours} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("theirs", theirs, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(theirs, unix.MNT_DETACH) })
	w.says("("+theirs+") is watched from ", 1)
	asked(t, 0, "mount -t tmpfs none "+ours, "attached before: replicate, activity")
	t.Cleanup(func() { _ = unix.Unmount(ours, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(ours, "first"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.says("first", 1)
	w.interrupt(`"exit_status":0`)
	if out := w.output(); strings.Count(out, `"event":"note"`) != 1 {
		t.Errorf("another moment is told of\n%s", out)
	}
}

// TestWatchKnowsRenamedMountPoints renames a directory above a mount point, which no event of mounts tells.
func TestWatchKnowsRenamedMountPoints(t *testing.T) {
	s := newStage(t)
	p := s.mirror()
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	v := voltest.New(t, "ext4", voltest.At(filepath.Join(before, "m")))
	eventually(t, 10*time.Second, func() error { return exits(0, "instances --all -v "+v.Dir) })
	w := watch(t, dir)
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(before, "m", name), 0o755); err != nil {
			t.Fatal(err)
		}
		w.says(`"path":"`+filepath.Join(before, "m", name)+`"`, 1)
		if err := os.Rename(before, after); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(filepath.Join(after, "m"), unix.MNT_DETACH) })
		before, after = after, before
	}
	if err := os.Mkdir(filepath.Join(before, "m", "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.says(`"path":"`+filepath.Join(before, "m", "c")+`"`, 1)
	w.interrupt(`"exit_status":0`)
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}
