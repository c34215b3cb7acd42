package vmtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestMirror follows a mirror through its life, with each kind of volume as a source and as a target.
func TestMirror(t *testing.T) {
	voltest.RequireRoot(t)
	program := weirProgram(t)
	for _, kinds := range [][]string{{"ext4", "btrfs", "xfs"}, {"btrfs", "xfs", "ext4"}} {
		t.Run(kinds[0]+" to "+kinds[1], func(t *testing.T) {
			eachDiscovery(t, func(t *testing.T, flags ...string) { life(t, append([]string{program}, flags...), kinds) })
		})
	}
}

// eachDiscovery runs a test with what the kernel has, and as on an old kernel if it is not one.
func eachDiscovery(t *testing.T, fn func(t *testing.T, flags ...string)) {
	if os.Getenv(weirEnv) == weirFile {
		fn(t)
		return
	}
	t.Run("events", func(t *testing.T) { fn(t) })
	t.Run("mountinfo", func(t *testing.T) { fn(t, "--mountinfo") })
}

// life takes weir with its flags, and the kinds of the source, of the first target and of a volume below the source, and of the
// second target.
func life(t *testing.T, weir, kinds []string) {
	source := filepath.Join(voltest.New(t, kinds[0]).Dir, "source")
	c := changer{t, source}
	c.must(os.MkdirAll(source, 0o755))
	c.populate()
	m := newMirror(t, weir, source,
		filepath.Join(voltest.New(t, kinds[1]).Dir, "replica"), filepath.Join(voltest.New(t, kinds[2]).Dir, "replica"))
	t.Logf("in sync for the first time after %v", m.start().Round(time.Millisecond))
	m.equal("initially")
	c.change(1)
	m.equal("after live changes")
	small(m, c)

	below := voltest.New(t, kinds[1], voltest.Unmounted())
	mounts(m, below)
	m.stop()
	c.change(2)
	changer{t, below.Dir}.change(2)
	m.start()
	m.equal("after a stop")
	killed(m, c)
	m.stop()
}

// small measures how long a small change takes.
func small(m *mirror, c changer) {
	var took []time.Duration
	for i := range 20 {
		c.write("small", fmt.Sprint(i))
		c.must(os.Rename(c.path("small"), c.path(fmt.Sprint("small", i))))
		took = append(took, m.arrival(c.path(fmt.Sprint("small", i))))
	}
	report(m.t, "a small file took", took)
}

func report(t *testing.T, what string, took []time.Duration) {
	slices.Sort(took)
	t.Logf("%s %v (median), %v (longest) of %d", what, took[len(took)/2], took[len(took)-1], len(took))
}

// mounts mounts a volume below the source and unmounts it, again and again, and leaves it mounted.
func mounts(m *mirror, v *voltest.Volume) {
	c := changer{m.t, filepath.Join(m.source, "a/mount")}
	c.must(os.MkdirAll(c.dir, 0o755))
	v.MountAt(c.dir)
	c.populate()
	m.equal("with a volume that came")
	c.change(1)
	m.equal("after changes on it")

	var first []time.Duration
	busy := 0
	for i := range 6 {
		busy += unmount(m.t, c.dir)
		c.write("covered", "of the bare mount point")
		c.must(os.Remove(c.path("covered")))
		v.Mount()
		name := fmt.Sprintf("after mount %d", i)
		c.write(name, name)
		first = append(first, m.arrival(c.path(name)))
	}
	report(m.t, "the first file after mount(2) took", first)
	m.t.Logf("umount said EBUSY %d times", busy)
	m.equal("after mounts")

	// The replica of a volume that is away stays.
	unmount(m.t, c.dir)
	changer{m.t, m.source}.write("meanwhile", "x")
	m.arrival(filepath.Join(m.source, "meanwhile"))
	for _, target := range m.targets {
		if _, err := os.Stat(filepath.Join(target, "a/mount/big")); err != nil {
			m.t.Error("the replica of a volume that is away:", err)
		}
	}
	v.Mount()
	m.equal("with the volume back")
}

// unmount returns how often umount(2) said that the volume is busy.
func unmount(t *testing.T, dir string) (busy int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		err := unix.Unmount(dir, 0)
		if err == nil {
			return busy
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			t.Fatalf("umount: %v, after %d times EBUSY", err, busy)
		}
		busy++
	}
}

// killed kills weir in the middle of work, several times, and leaves it running.
func killed(m *mirror, c changer) {
	for i := range 2 {
		m.killDuring(time.Duration(i*60)*time.Millisecond, func() {
			for n := range 60 {
				c.write(fmt.Sprintf("killed/%d/%d", i, n%7), strings.Repeat("k", n*1000))
			}
			c.must(os.RemoveAll(c.path(fmt.Sprintf("killed/%d", i-1))))
			c.change(10 + i)
		})
		c.change(20 + i)
		m.start()
	}
	m.equal("after kills")
	if strings.Contains(m.output(), "somebody else") {
		m.t.Error("weir takes for somebody else's what it has done itself")
	}
}
