package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestCopyOfTheTarget mounts a copy of the target where it was, by cp to another file system: it carries the marker, and its
// root has the same inode. In one file the copy has other data under the same times.
func TestCopyOfTheTarget(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		for _, stopped := range []bool{false, true} {
			t.Run(fs+map[bool]string{false: "-running", true: "-stopped"}[stopped], func(t *testing.T) {
				s := newScene(t, "ext4", fs, false)
				remove(t, s.dst)
				s.dst, s.o.Targets = s.to.Dir, []string{s.to.Dir}
				populate(t, s.src, 3, 5)
				s.begin()
				s.alike()
				if stopped {
					s.end()
				}
				clone := copyOf(t, s.to)
				if stopped {
					s.begin()
				}
				write(t, s.in("new"), "1")
				awaitTarget(s, replicate.PhaseTargetAbsent)
				still(t, "the copy", func() bool { return absent(s.at("new")) })
				s.endBehind()
				s.o.Adopt = true
				s.begin()
				s.alike()
				s.end()
				clone.Unmount()
				s.to.Mount()
				s.o.Adopt = false
				s.begin()
				write(t, s.in("new"), "2")
				awaitTarget(s, replicate.PhaseTargetAbsent)
				s.endBehind()
			})
		}
	}
}

// copyOf copies all of a volume to another one, changes one file there, and mounts that in its place.
func copyOf(t *testing.T, v *voltest.Volume) *voltest.Volume {
	t.Helper()
	elsewhere, home := t.TempDir(), v.Dir
	clone := voltest.New(t, v.FS, voltest.At(elsewhere))
	if out, err := exec.Command("cp", "-a", home+"/.", elsewhere).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	path := filepath.Join(elsewhere, "d001/f001")
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(make([]byte, was.Size())))
	if err := os.Chtimes(path, time.Time{}, was.ModTime()); err != nil {
		t.Fatal(err)
	}
	clone.Unmount()
	v.Unmount()
	clone.MountAt(home)
	return clone
}
