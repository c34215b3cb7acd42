package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
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
	asked(t, 2, "mount -o remount "+nested.Device+" "+at, "does not take -o remount; use mount.8.: mount -o remount DIR")
	asked(t, 2, "mount -o ro,loop=/dev/loop9 image "+at, "does not take -o loop=/dev/loop9; .*losetup --find --show FILE")
	asked(t, 2, "mount LABEL=no/such "+at, `find the device of LABEL=no/such: there is no link ".*by-label.*x2fsuch"; name the device`)
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

// TestDevicesByTag looks up links as udev makes them.
func TestDevicesByTag(t *testing.T) {
	disk := t.TempDir()
	device := filepath.Join(disk, "sdx1")
	err := os.WriteFile(device, nil, 0o600)
	for dir, name := range map[string]string{"by-label": `my\x20data-\x2fä`, "by-uuid": "12-34"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(disk, dir), 0o755), os.Symlink("../sdx1", filepath.Join(disk, dir, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"LABEL=my data-/ä": device, "UUID=12-34": device, "/dev/sdy": "/dev/sdy", "none": "none", "server:/a=b": "server:/a=b",
		"LABEL=other": "", "LABEL=": "", "UUID=..": "",
	} {
		got, err := tagged(disk, name)
		if got != want || (err != nil) != (want == "") || err != nil && weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s is %q, want %q: %v", name, got, want, err)
		}
	}
}
