package daemon

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// residual is how long a device may be busy after umount has returned: what hits a batch has to wait until that
// has let go, which is the one system call that it is in.
const residual = 2 * time.Second

// umounts is how often a volume is unmounted in each of the four scenes; the long run does a thousand in all.
var umounts = flag.Int("umounts", 50, "umounts of each volume in TestTortureUmount")

// TestTortureUmount unmounts a source and a target under light load. Whatever weir is doing, umount succeeds, the
// device opens exclusively in a moment, and the image is that of a volume that was unmounted.
func TestTortureUmount(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs"} {
		for _, side := range []string{"source", "target"} {
			t.Run(fs+"-"+side, func(t *testing.T) { unmountOften(t, fs, side == "source") })
		}
	}
}

func unmountOften(t *testing.T, fs string, source bool) {
	other := map[string]string{"ext4": "xfs", "xfs": "ext4"}[fs]
	s := newScene(t, other, fs, false)
	v := s.to
	if source {
		s = newScene(t, fs, other, false)
		v = s.from
	}
	home := v.Dir
	write(t, s.in("keep"), "0")
	s.begin()
	s.alike()
	var waits []time.Duration
	for n := range *umounts {
		stop := make(chan struct{})
		loaded := make(chan string, 1)
		go func() { loaded <- load(s.src, n, stop) }()
		time.Sleep(time.Duration(n%17) * time.Millisecond)
		if source { // The load has nothing open when the source is unmounted; weir has.
			close(stop)
			<-loaded
		}
		took := unmountNow(t, s, home)
		waits = append(waits, took)
		if n%10 == 0 {
			checkImage(t, v, source, s)
		}
		if !source {
			close(stop)
			<-loaded
		}
		v.Mount()
		s.await("in sync after the remount", func() bool {
			return s.unit(s.src, s.dst).Phase == replicate.PhaseInSync
		})
		if n%10 == 0 {
			s.alike()
		}
	}
	s.alike()
	s.end()
	slices.Sort(waits)
	t.Logf("%d umounts; the device was exclusive after p50 %v p99 %v max %v", len(waits), waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1])
}

// load writes, renames and removes small files until it is stopped.
func load(dir string, n int, stop chan struct{}) string {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return ""
		case <-time.After(time.Millisecond):
		}
		p := filepath.Join(dir, fmt.Sprintf("load%d", i%20))
		_ = os.WriteFile(p, fmt.Appendf(nil, "%d %d", n, i), 0o644)
		if i%3 == 0 {
			_ = os.Rename(p, p+".moved")
		}
		if i%5 == 0 {
			_ = os.Remove(p)
		}
	}
}

// unmountNow unmounts once, without a second try, and returns how long the device was busy after that.
func unmountNow(t *testing.T, s *scene, dir string) time.Duration {
	t.Helper()
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatalf("umount: %v\n%s", err, s.log)
	}
	v := s.to
	if dir == s.from.Dir {
		v = s.from
	}
	begun := time.Now()
	for {
		fd, err := unix.Open(v.Device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
		if err == nil {
			took := time.Since(begun)
			_ = unix.Close(fd)
			return took
		}
		if !errors.Is(err, unix.EBUSY) || time.Since(begun) > residual {
			t.Fatalf("%s after umount: %v after %v\n%+v\n%s", v.Device, err, time.Since(begun), s.m.Status(), s.log)
		}
	}
}

// checkImage makes sure that the image needs no recovery and holds the files.
func checkImage(t *testing.T, v *voltest.Volume, source bool, s *scene) {
	t.Helper()
	switch v.FS {
	case "ext4":
		out, err := exec.Command("dumpe2fs", "-h", v.Device).CombinedOutput()
		if err != nil || strings.Contains(string(out), "needs_recovery") || !strings.Contains(string(out), "state:         clean") {
			t.Fatalf("the file system was not unmounted cleanly: %v\n%s", err, out)
		}
		if out, err := exec.Command("e2fsck", "-fn", v.Device).CombinedOutput(); err != nil {
			t.Fatalf("e2fsck: %v\n%s", err, out)
		}
	case "xfs":
		if out, err := exec.Command("xfs_repair", "-n", v.Device).CombinedOutput(); err != nil {
			t.Fatalf("xfs_repair: %v\n%s", err, out)
		}
	}
}

// TestIdleVolumesAreNotHeld looks at what the process has open while nothing happens.
func TestIdleVolumesAreNotHeld(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		nested := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("m"))))
		populate(t, s.src, 50, 4)
		populate(t, nested.Dir, 50, 4)
		others := groups(t)
		s.begin()
		s.alike()
		s.await("nothing open on the volumes", func() bool { return len(openOn(t, s.from.Dir, s.to.Dir, nested.Dir)) == 0 })
		still(t, "nothing open on the volumes", func() bool { return len(openOn(t, s.from.Dir, s.to.Dir, nested.Dir)) == 0 })
		after := marksBut(t, others)
		for _, v := range []*voltest.Volume{s.from, nested} {
			for _, superblock := range []string{sdev(t, v.Dir), sdev(t, v.Dir) + " sentinel"} {
				if n := after[superblock]; n != 1 {
					t.Errorf("%d marks on %s (%s)", n, v.Dir, superblock)
				}
			}
		}
		if n := after["inotify"]; n != 0 {
			t.Errorf("%d inotify watches", n)
		}
		s.end()
	})
}

func sdev(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", unix.Major(st.Dev)<<20|unix.Minor(st.Dev))
}

// marks counts this process's fanotify marks by superblock, apart from those that ask for nothing, and its inotify watches.
func marks(t *testing.T) map[string]int {
	t.Helper()
	return marksBut(t, nil)
}

// marksBut is marks without those of other groups: a mirror of another test may be ending still.
func marksBut(t *testing.T, others []string) map[string]int {
	t.Helper()
	count := make(map[string]int)
	for _, path := range groups(t) {
		if slices.Contains(others, path) {
			continue
		}
		b, _ := os.ReadFile(path)
		for line := range strings.Lines(string(b)) {
			switch {
			case strings.HasPrefix(line, "inotify "):
				count["inotify"]++
			case strings.HasPrefix(line, "fanotify sdev:"):
				superblock := strings.Fields(strings.TrimPrefix(line, "fanotify sdev:"))[0]
				if strings.Contains(line, " mask:0 ") {
					superblock += " sentinel"
				}
				count[superblock]++
			}
		}
	}
	return count
}

// groups lists what tells of this process's groups of fanotify and inotify.
func groups(t *testing.T) []string {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(infos, func(path string) bool {
		text, _ := os.ReadFile(path)
		return !strings.Contains(string(text), "notify ")
	})
}

// openOn lists this process's descriptors on volumes.
func openOn(t *testing.T, dirs ...string) (open []string) {
	t.Helper()
	devices := make(map[uint64]bool)
	for _, d := range dirs {
		var st unix.Stat_t
		if err := unix.Stat(d, &st); err != nil {
			t.Fatal(err)
		}
		devices[st.Dev] = true
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fds {
		var st unix.Stat_t
		if unix.Stat("/proc/self/fd/"+e.Name(), &st) == nil && devices[st.Dev] {
			link, _ := os.Readlink("/proc/self/fd/" + e.Name())
			open = append(open, link)
		}
	}
	return open
}
