package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestMountAsItsUserWould mounts below the source of a running mirror, and goes through what is refused.
func TestMountAsItsUserWould(t *testing.T) {
	voltest.RequireTool(t, "blkid", "util-linux")
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	nested := voltest.New(t, "ext4", voltest.Unmounted())
	at := filepath.Join(source.Dir, "nested")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	asked(t, 2, "mount -t tmpfs none "+at, "no weir is running; start weir mirror")
	p := s.mirror()

	asked(t, 2, "mount none "+at, "find the type of none: it is no path of a device; give it with -t")
	asked(t, 2, "mount /dev/null "+at, "find the type of /dev/null", "give it with -t")
	asked(t, 2, "mount -t nothing none "+at, "mount none: the kernel knows no type nothing; see /proc/filesystems")
	asked(t, 2, "mount -t tmpfs -o colour=red none "+at, "mount none: .*colour.*; see mount")
	asked(t, 2, "mount -o remount "+nested.Device+" "+at, "does not take -o remount; use mount")
	asked(t, 2, "mount -t tmpfs none "+at+"/none", "mount on "+at+"/none: no such file or directory; make it")
	asked(t, 2, "mount -t xfs "+nested.Device+" "+at, "mount "+nested.Device+": ")

	asked(t, 0, "mount "+nested.Device+" "+at, `volume \d+ is mounted at `+at+"; attached before: replicate")
	if err := os.WriteFile(filepath.Join(at, "first"), []byte("nested/first"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.arrives("nested/first", s.good)
	if out := asked(t, 0, "coverage"); strings.Contains(out, "mounted by another program") {
		t.Error(out)
	}
	if err := unix.Unmount(at, 0); err != nil {
		t.Error(err)
	}
	asked(t, 0, "mount --json -t tmpfs -o ro,nosuid none "+at, `"instances":\["replicate"\]`, `"troubles":\[\]`)
	if err := unix.Unmount(at, 0); err != nil {
		t.Error(err)
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}
