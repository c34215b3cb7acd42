package voltest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Volume is one file system of a test. Its fields are not to be changed.
type Volume struct {
	FS     string // ext4, xfs, btrfs, tmpfs or exfat
	Dir    string // where it is, or was last, mounted
	Image  string // the file that holds it; empty for tmpfs
	Device string // the loop device, attached until the test ends; empty for tmpfs

	t       testing.TB
	data    string // file system specific mount options
	flags   uintptr
	mounted bool
}

// options is what New takes beside the type.
type options struct {
	size      int64 // bytes
	dir       string
	from      string
	data      string
	flags     uintptr
	unmounted bool
	mkfs      []string
}

// Option changes how New makes a volume.
type Option func(*options)

// Size sets the size in bytes. Without it ext4 has 64 MiB, xfs 300 MiB, btrfs 128 MiB, which are the least
// that their mkfs takes gladly, tmpfs 256 MiB and exfat 32 MiB. Images are sparse.
func Size(bytes int64) Option { return func(o *options) { o.size = bytes } }

// At mounts the volume at dir, which is made if it is missing, instead of a new temporary directory.
func At(dir string) Option { return func(o *options) { o.dir = dir } }

// Unmounted leaves the volume unmounted.
func Unmounted() Option { return func(o *options) { o.unmounted = true } }

// CopyOf takes a copy of image, with its UUID, instead of making a new file system. It copies what the
// image holds now, so that it also takes the state after a power cut from a mounted volume.
func CopyOf(image string) Option { return func(o *options) { o.from = image } }

// Data sets mount options of the file system itself, as in "nouuid" or "subvol=a,nodatacow".
func Data(data string) Option { return func(o *options) { o.data = data } }

// Flags sets mount flags, as in unix.MS_RDONLY.
func Flags(flags uintptr) Option { return func(o *options) { o.flags = flags } }

// Mkfs adds arguments to the call of mkfs.
func Mkfs(args ...string) Option { return func(o *options) { o.mkfs = append(o.mkfs, args...) } }

const mebibyte = 1 << 20

// maker is how a type of file system is made.
type maker struct {
	size   int64
	origin string
	args   []string
}

func makers() map[string]maker {
	return map[string]maker{
		"ext4":  {64 * mebibyte, "e2fsprogs", []string{"-q", "-F"}},
		"xfs":   {300 * mebibyte, "xfsprogs", []string{"-q", "-f"}},
		"btrfs": {128 * mebibyte, "btrfs-progs", []string{"-q", "-f"}},
		"tmpfs": {256 * mebibyte, "", nil},
		"exfat": {32 * mebibyte, "exfatprogs", nil},
	}
}

// New makes a volume of type fs and mounts it: ext4, xfs, btrfs, tmpfs, or exfat, which is served through
// FUSE, folds case and stores neither owners, modes, links nor extended attributes. Every volume has a
// UUID of its own unless CopyOf says otherwise. New skips the test without root or without mkfs.
func New(t testing.TB, fs string, opts ...Option) *Volume {
	t.Helper()
	RequireRoot(t)
	maker, known := makers()[fs]
	if !known {
		t.Fatalf("voltest: no way to make a volume of type %q", fs)
	}
	o := options{size: maker.size}
	for _, option := range opts {
		option(&o)
	}
	base := t.TempDir()
	v := &Volume{FS: fs, Dir: o.dir, t: t, data: o.data, flags: o.flags}
	if v.Dir == "" {
		v.Dir = filepath.Join(base, fs)
	}
	if fs == "tmpfs" {
		v.data = join(v.data, "size="+strconv.FormatInt(o.size, 10))
	} else {
		v.Image = filepath.Join(base, fs+".img")
		v.makeImage(maker, o)
		v.attach()
	}
	if !o.unmounted {
		v.Mount()
	}
	return v
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

func (v *Volume) makeImage(maker maker, o options) {
	v.t.Helper()
	if o.from != "" {
		run(v.t, "cp", "--sparse=always", o.from, v.Image)
		return
	}
	RequireTool(v.t, "mkfs."+v.FS, maker.origin)
	if v.FS == "exfat" {
		RequireTool(v.t, "mount.exfat-fuse", "exfat-fuse")
	}
	file, err := os.Create(v.Image)
	if err == nil {
		err = errors.Join(file.Truncate(o.size), file.Close())
	}
	if err != nil {
		v.t.Fatal("voltest: make an image:", err)
	}
	run(v.t, "mkfs."+v.FS, append(append(maker.args, o.mkfs...), v.Image)...)
}

// attach gives the volume its loop device, which stays until the test has ended, so that tests may
// look at it while the volume is not mounted.
func (v *Volume) attach() {
	v.t.Helper()
	device, err := attachLoop(v.Image, v.flags&unix.MS_RDONLY != 0)
	if err != nil {
		v.t.Fatal("voltest:", err)
	}
	v.Device = device.Name()
	v.t.Cleanup(func() { _ = device.Close() })
}

// Mount mounts the volume where it was last.
func (v *Volume) Mount() {
	v.t.Helper()
	v.MountAt(v.Dir)
}

// MountAt mounts the volume at dir, which is made if it is missing. A device that is mounted already
// gets a second mount; Dir is the latest.
func (v *Volume) MountAt(dir string) {
	v.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		v.t.Fatal(err)
	}
	if err := v.mountAt(dir); err != nil {
		v.t.Fatalf("voltest: mount %s at %s: %v", v.FS, dir, err)
	}
	v.Dir, v.mounted = dir, true
	detachAtEnd(v.t, dir)
}

func (v *Volume) mountAt(dir string) error {
	switch v.FS {
	case "exfat":
		// The process that serves it ends with the mount.
		return exec.Command("mount.exfat-fuse", v.Device, dir).Run()
	case "tmpfs":
		return unix.Mount(v.FS, dir, v.FS, v.flags, v.data)
	}
	return unix.Mount(v.Device, dir, v.FS, v.flags, v.data)
}

// Unmount unmounts the volume from Dir and returns when the file system has been shut down, unless
// other mounts of it remain. A user that lets go within two seconds is waited for.
func (v *Volume) Unmount() {
	v.t.Helper()
	Unmount(v.t, v.Dir)
	v.mounted = false
}

// AwaitFree waits until nobody uses the device of a volume that is unmounted here: others may be looking at it, and until
// then what is mounted is the former superblock, as it was. A tmpfs has no device.
func (v *Volume) AwaitFree() {
	v.t.Helper()
	if v.Device == "" {
		return
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		fd, err := unix.Open(v.Device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
		if err == nil {
			_ = unix.Close(fd)
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("voltest: %s stays in use: %v", v.Device, err)
		}
	}
}

// Lazy unmounts the volume from Dir at once, as umount -l does: the file system lives on while it is used.
func (v *Volume) Lazy() {
	v.t.Helper()
	if err := unix.Unmount(v.Dir, unix.MNT_DETACH); err != nil {
		v.t.Fatalf("voltest: umount -l %s: %v", v.Dir, err)
	}
	v.mounted = false
}

// Mounted tells whether the volume was left mounted by the last call of a method.
func (v *Volume) Mounted() bool { return v.mounted }

// Remount changes the mount's flags and options, as mount -o remount does.
func (v *Volume) Remount(flags uintptr, data string) {
	v.t.Helper()
	if err := unix.Mount("", v.Dir, "", unix.MS_REMOUNT|flags, data); err != nil {
		v.t.Fatalf("voltest: remount %s: %v", v.Dir, err)
	}
}

// Unmount unmounts what is mounted at dir. A user that lets go within two seconds is waited for.
func Unmount(t testing.TB, dir string) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := unix.Unmount(dir, 0)
		if err == nil {
			return
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			t.Fatalf("voltest: umount %s: %v", dir, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// detachAtEnd takes every mount from dir, and what is mounted below, when the test has ended.
func detachAtEnd(t testing.TB, dir string) {
	t.Cleanup(func() {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
	})
}

// Each runs fn as a subtest on a new volume of each type: ext4, xfs, btrfs and tmpfs.
func Each(t *testing.T, fn func(t *testing.T, v *Volume)) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) { fn(t, New(t, fs)) })
	}
}

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("voltest: %s %q: %v\n%s", program, args, err, out)
	}
}
