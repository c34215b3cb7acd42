package voltest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(Unshared(m)) }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(content)
}

func TestVolumeKeepsItsFilesOverRemount(t *testing.T) {
	Each(t, func(t *testing.T, v *Volume) {
		if v.FS == "tmpfs" {
			return
		}
		write(t, v.Dir+"/a", "on the volume")
		v.Unmount()
		if got := read(t, v.Dir+"/a"); got != "" {
			t.Errorf("the bare mount point shows %q", got)
		}
		device, err := unix.Open(v.Device, unix.O_RDONLY|unix.O_EXCL, 0)
		if err != nil {
			t.Fatal("the device is busy after unmount:", err)
		}
		_ = unix.Close(device)
		v.MountAt(filepath.Join(t.TempDir(), "else", "where"))
		if got := read(t, v.Dir+"/a"); got != "on the volume" {
			t.Errorf("after remount: %q", got)
		}
		v.Lazy()
	})
}

func TestTwoVolumesOfOneTypeMountTogether(t *testing.T) {
	Each(t, func(t *testing.T, a *Volume) {
		b := New(t, a.FS)
		write(t, a.Dir+"/f", "a")
		if got := read(t, b.Dir+"/f"); got != "" {
			t.Errorf("the second volume shows the first one's file: %q", got)
		}
	})
}

func TestCopyHasTheSameUUID(t *testing.T) {
	a := New(t, "ext4", Unmounted())
	b := New(t, "ext4", CopyOf(a.Image))
	if x, y := uuid(t, a.Device), uuid(t, b.Device); x == "" || x != y {
		t.Errorf("UUIDs %q and %q", x, y)
	}
}

func uuid(t *testing.T, device string) string {
	t.Helper()
	out, err := exec.Command("blkid", "-p", "-s", "UUID", "-o", "value", device).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestStacks(t *testing.T) {
	v := New(t, "ext4")
	write(t, v.Dir+"/f", "x")
	d := t.TempDir()
	Bind(t, v.Dir, d+"/bind")
	Bindfs(t, v.Dir, d+"/bindfs")
	u := New(t, "tmpfs")
	Overlay(t, true, v.Dir, u.Dir+"/u", u.Dir+"/w", d+"/export")
	Overlay(t, false, v.Dir, u.Dir+"/u2", u.Dir+"/w2", d+"/overlay")
	for _, at := range []string{"bind", "bindfs", "export", "overlay"} {
		if got := read(t, filepath.Join(d, at, "f")); got != "x" {
			t.Errorf("%s shows %q", at, got)
		}
	}
}

// TestDie is run by TestNothingRemains in a process of its own, and ends it in the worst ways.
func TestDie(t *testing.T) {
	how := os.Getenv("VOLTEST_DIE")
	if how == "" {
		return
	}
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		v := New(t, fs)
		write(t, v.Dir+"/f", "x")
		Bindfs(t, v.Dir, t.TempDir())
	}
	if err := exec.Command("sleep", "1000").Start(); err != nil {
		t.Fatal(err)
	}
	switch how {
	case "kill":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case "panic":
		panic("as asked")
	case "fail":
		t.Fatal("as asked")
	}
}

func TestNothingRemains(t *testing.T) {
	RequireRoot(t)
	if os.Getenv("VOLTEST_DIE") != "" {
		return
	}
	mounts := read(t, "/proc/self/mountinfo")
	for _, how := range []string{"kill", "panic", "fail", "end"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			dying := exec.Command("/proc/self/exe", "-test.run=^TestDie$")
			for _, variable := range os.Environ() {
				if !strings.HasPrefix(variable, runDirEnv+"=") {
					dying.Env = append(dying.Env, variable)
				}
			}
			dying.Env = append(dying.Env, "VOLTEST_DIE="+how, "TMPDIR="+dir)
			out, err := dying.CombinedOutput()
			if (err == nil) != (how == "end") {
				t.Errorf("ended with %v:\n%s", err, out)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left files: %v", left)
			}
			if used := loopsBelow(t, dir); len(used) != 0 {
				t.Errorf("left loop devices: %v", used)
			}
			if now := read(t, "/proc/self/mountinfo"); now != mounts {
				t.Errorf("mounts changed to:\n%s", now)
			}
		})
	}
}

func loopsBelow(t *testing.T, dir string) (used []string) {
	t.Helper()
	backings, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, backing := range backings {
		if strings.HasPrefix(read(t, backing), dir+"/") {
			used = append(used, backing)
		}
	}
	return used
}

func TestShutdownLosesWhatWasNotSynced(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		t.Run(fs, func(t *testing.T) {
			v := New(t, fs)
			write(t, v.Dir+"/old", "old")
			syncVolume(t, v.Dir)
			write(t, v.Dir+"/new", "new")
			v.Shutdown(ShutdownNoFlushLog)
			if err := os.WriteFile(v.Dir+"/late", nil, 0o644); err == nil {
				t.Error("a file was written after the shutdown")
			}
			v.Unmount()
			v.Mount()
			if old, late := read(t, v.Dir+"/old"), read(t, v.Dir+"/new"); old != "old" || late != "" {
				t.Errorf("after the power cut: old %q, new %q", old, late)
			}
		})
	}
}

func syncVolume(t *testing.T, dir string) {
	t.Helper()
	root, err := os.Open(dir)
	if err == nil {
		err = errors.Join(unix.Syncfs(int(root.Fd())), root.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestExfatStoresLess(t *testing.T) {
	v := New(t, "exfat")
	write(t, v.Dir+"/A", "x")
	if got := read(t, v.Dir+"/a"); got != "x" {
		t.Errorf("a shows %q, want what A holds", got)
	}
	if err := os.Symlink("x", v.Dir+"/link"); err == nil {
		t.Error("a symbolic link was stored")
	}
	v.Unmount()
	v.Mount()
	if got := read(t, v.Dir+"/A"); got != "x" {
		t.Errorf("after remount: %q", got)
	}
}
