package volume

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/voltest"
)

// TestComingVolume makes a volume that is known, and can be borrowed, before it is shown.
func TestComingVolume(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.Each(t, func(t *testing.T, d *voltest.Volume) {
			if err := os.WriteFile(d.Dir+"/file", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			d.Unmount()
			d.AwaitFree()
			w, r := start(t, options)
			before := r.present()
			dir := t.TempDir()
			if err := os.Symlink(dir, dir+".link"); err != nil {
				t.Fatal(err)
			}
			wanted := Wanted{Type: d.FS, Source: d.Device, Dir: dir + ".link", Options: "nosuid,ro"}
			if d.FS == "tmpfs" {
				wanted.Source, wanted.Options = "made", "size=1M,mode=700"
			}
			c, err := w.Prepare(t.Context(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			v := c.Volume()
			eventually(t, "arrived", func() bool { return r.count("arrived", v) == 1 })
			info := v.Info()
			if len(info.Mounts) != 1 || !info.Mounts[0].Own || !info.Mounts[0].Coming || info.Mounts[0].Point != dir ||
				info.Mounts[0].ID != c.Mount() || info.Sight != weir.SightFull {
				t.Errorf("before it is shown: %+v", info)
			}
			if w.IsMountPoint(dir) || len(w.MountsBelow(filepath.Dir(dir))) != 0 {
				t.Error("it counts as mounted already")
			}
			checkBorrowAnywhere(t, v, ".")
			if err := c.Attach(); err != nil {
				t.Fatal(err)
			}
			if at := mustAt(t, w, dir); at.ID() != v.ID() {
				t.Error("another volume is shown")
			}
			info = v.Info()
			if len(info.Mounts) != 1 || info.Mounts[0].Coming || info.Mounts[0].Point != dir || info.Mounts[0].ID != c.Mount() ||
				d.FS != "tmpfs" && (!info.ReadOnly || !strings.Contains(info.Mounts[0].Options, "nosuid")) {
				t.Errorf("once it is shown: %+v", info)
			}
			if _, err := os.Stat(dir + "/file"); (err == nil) != (d.FS != "tmpfs") {
				t.Error(err)
			}
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error("umount:", err)
			}
			eventually(t, "left", func() bool { return r.count("left", v) == 1 && slices.Equal(r.present(), before) })
		})
	})
}

// TestComingElsewhere mounts in the namespace of the process that asks.
func TestComingElsewhere(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		w, r := start(t, options)
		dir := t.TempDir()
		n := voltest.NewNamespace(t, "true")
		c, err := w.Prepare(t.Context(), Wanted{Type: "tmpfs", Source: "made", Dir: dir, Caller: n.PID()})
		if err != nil {
			t.Fatal(err)
		}
		v := c.Volume()
		if info := v.Info(); len(info.Mounts) != 1 || info.Mounts[0].Own || !info.Mounts[0].Coming {
			t.Errorf("before it is shown: %+v", info)
		}
		if err := c.Attach(); err != nil {
			t.Fatal(err)
		}
		if info := v.Info(); len(info.Mounts) != 1 || info.Mounts[0].Own || info.Mounts[0].Coming || info.Mounts[0].Point != dir {
			t.Errorf("once it is shown: %+v", info)
		}
		n.Do("mountpoint -q " + dir + "; umount " + dir)
		eventually(t, "left", func() bool { return r.count("left", v) == 1 })
	})
}

// TestWhatCannotBeMounted is told with its name, the reason and what to do, and leaves nothing.
func TestWhatCannotBeMounted(t *testing.T) {
	d := voltest.New(t, "ext4")
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	w, r := start(t, Options{})
	before, open := r.present(), fd.Open()
	dir := t.TempDir()
	for _, c := range []struct {
		wanted Wanted
		want   []string
	}{
		{Wanted{Type: "nosuchfs", Source: "x", Dir: dir}, []string{"mount x", "the kernel knows no type nosuchfs", "/proc/filesystems"}},
		{Wanted{Type: "tmpfs", Source: "x", Dir: dir, Options: "size=1M,colour=red"}, []string{"mount x", "colour", "see mount(8)"}},
		{Wanted{Type: "xfs", Source: d.Device, Dir: dir}, []string{"mount " + d.Device, "create xfs"}},
		{Wanted{Type: "ext4", Source: image, Dir: dir}, []string{"mount " + image, "block device", "losetup"}},
		{Wanted{Type: "ext4", Source: "/dev/none", Dir: dir}, []string{"mount /dev/none", "no such file", "name a block device"}},
		{Wanted{Type: "btrfs", Source: voltest.New(t, "btrfs", voltest.Unmounted()).Device, Dir: dir, Options: "subvol=none"}, []string{"create btrfs", "such as a subvolume"}},
		{Wanted{Type: "overlay", Source: "x", Dir: dir, Options: "lowerdir=" + dir}, []string{"create overlay", "names what is not there"}},
		{Wanted{Type: "tmpfs", Source: "x", Dir: dir + "/none"}, []string{"mount on " + dir + "/none", "no such file", "mkdir"}},
		{Wanted{Type: "tmpfs", Source: "x", Dir: image}, []string{"mount on " + image, "not a directory"}},
		{Wanted{Type: "tmpfs", Source: "x", Dir: "relative"}, []string{"not absolute"}},
	} {
		_, err := w.Prepare(t.Context(), c.wanted)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", c.wanted, err, want)
			}
		}
	}
	c, err := w.Prepare(t.Context(), Wanted{Type: "tmpfs", Source: "x", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	v := c.Volume()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := c.Attach(); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("onto what is not there: %v", err)
	}
	c.Withdraw()
	eventually(t, "left", func() bool { return r.count("left", v) == r.count("arrived", v) })
	if !slices.Equal(r.present(), before) || fd.Open() != open {
		t.Errorf("volumes %v, were %v; %d descriptors more", r.present(), before, fd.Open()-open)
	}
}
