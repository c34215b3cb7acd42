package main

import (
	"errors"
	"os"
	"os/exec"
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

	asked(t, 2, "mount none "+at, "find the type of none: there is no such device; .*give the type with -t if that needs none")
	asked(t, 2, "mount /dev/null "+at, "find the type of /dev/null", "give it with -t")
	asked(t, 2, "mount -t nothing none "+at, "mount none: the kernel knows no type nothing; see /proc/filesystems")
	asked(t, 2, "mount -t tmpfs -o colour=red none "+at, "mount none: .*colour.*; see mount")
	asked(t, 2, "mount -o remount "+nested.Device+" "+at, "does not take -o remount; use mount.8.: mount -o remount DIR")
	asked(t, 2, "mount -o ro,loop=/dev/loop9 image "+at, "does not take -o loop=/dev/loop9; .*losetup --find --show FILE")
	asked(t, 2, "mount -t tmpfs -o nofail,shared none "+at, "does not take -o shared; mount without it, .*--make-shared DIR")
	asked(t, 2, "mount -t tmpfs -o X-mount.mkdir=700 none "+at, "does not take -o X-mount.mkdir=700; make the directory with mkdir")
	asked(t, 2, "mount -t xfs,btrfs "+nested.Device+" "+at, "blkid finds ext4 on it, and not xfs,btrfs; give the type with -t")
	image := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command("cp", "--sparse=always", nested.Device, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, as := range []string{"", "-t ext4 "} {
		asked(t, 2, "mount "+as+image+" "+at, "block device required.*; name a block device; losetup --find --show makes one")
	}
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
	asked(t, 0, "mount --json -t tmpfs -o ro,nosuid none "+at, `"instances":\["replicate"\]`,
		`"troubles":\["filter replicate holds it: .*: a different volume is here; `)
	if err := unix.Unmount(at, 0); err != nil {
		t.Error(err)
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestLinesOfFstab mounts with options and sources that mean something to mount(8), or to this process only.
func TestLinesOfFstab(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	nested := voltest.New(t, "ext4", voltest.Unmounted())
	t.Chdir(source.Dir)
	for _, dir := range []string{"at", "l:1", "l2", "u", "w"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := s.mirror()
	for _, row := range []struct{ line, shown string }{
		{"-t tmpfs -o nofail,x-systemd.automount,noauto,user,exec,uid=root,comment=x,_netdev srv:/export at", "srv:/export at tmpfs rw,nosuid,nodev,relatime"},
		{"-t tmpfs -o ro,rw,nosuid,suid //srv/share at", "//srv/share at tmpfs rw,relatime"},
		{"-t tmpfs u at", "u at tmpfs rw,relatime"},
		{"-t auto " + nested.Device + " ./at", nested.Device + " at ext4 rw,relatime"},
		{"-t xfs,ext4 -o rw,ro " + nested.Device + " at", nested.Device + " at ext4 ro,relatime"},
		{`-t overlay -o lowerdir=l\:1:l2,upperdir=u,workdir=w o at`, "o at overlay rw,relatime"},
	} {
		asked(t, 0, "mount "+row.line, "is mounted at "+source.Dir+"/at; attached before: ")
		out, err := exec.Command("findmnt", "-rno", "SOURCE,TARGET,FSTYPE,VFS-OPTIONS", source.Dir+"/at").CombinedOutput()
		if got := strings.Replace(strings.TrimSpace(string(out)), source.Dir+"/", "", 1); got != row.shown {
			t.Errorf("%s: shown is %q, want %q: %v", row.line, got, row.shown, err)
		}
		if err := unix.Unmount("at", 0); err != nil {
			t.Error(err)
		}
	}
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

// TestWordsAreTakenAsTheAskerKnowsThem has a working directory in whose name colons and commas are.
func TestWordsAreTakenAsTheAskerKnowsThem(t *testing.T) {
	here := filepath.Join(t.TempDir(), "a:b,c")
	if err := os.MkdirAll(filepath.Join(here, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(here)
	escaped := strings.ReplaceAll(here, ":", `\:`)
	for options, want := range map[string]string{
		"ro,lowerdir=x:/y::z,upperdir=u": `ro,lowerdir="` + escaped + "/x:/y::" + escaped + `/z",upperdir="` + escaped + `/u"`,
		"uid=root,gid=root":              "uid=0,gid=0",
		"uid=7,gid=nobody at all":        "uid=7,gid=nobody at all",
	} {
		if got, err := optionsHere("overlay", options); err != nil || got != want {
			t.Errorf("%s: %q, want %q: %v", options, got, want, err)
		}
	}
	for _, row := range []struct{ fs, source, want string }{
		{"ext4", "x", here + "/x"}, {"", "./x", here + "/x"}, {"", "none", "none"}, {"tmpfs", "x", "x"}, {"ext4", "srv:/x", "srv:/x"}, {"", "//x/y", "//x/y"},
	} {
		if got, err := sourceHere(row.fs, row.source); err != nil || got != row.want {
			t.Errorf("%+v: %q, %v", row, got, err)
		}
	}
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
