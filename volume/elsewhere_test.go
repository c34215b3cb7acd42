package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/internal/voltest"
)

// foreignAt returns the volume that another namespace shows at point, or nil.
func foreignAt(w *Watcher, point string) *volume {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range w.model.present {
		for _, f := range in.foreign {
			if f.Point == point {
				return w.volumes[in.id]
			}
		}
	}
	return nil
}

// awaitForeign waits until another namespace is known to show a volume at point, and that has been told.
func awaitForeign(t *testing.T, w *Watcher, r *record, point string) weir.Volume {
	t.Helper()
	var v *volume
	eventually(t, "a volume at "+point, func() bool {
		v = foreignAt(w, point)
		return v != nil && r.count("arrived", v) == 1
	})
	return v
}

func mountTmpfs(at string) string {
	return fmt.Sprintf("mkdir -p '%s'; mount -t tmpfs other '%s'; echo text > '%s/file'", at, at, at)
}

func checkBorrowAnywhere(t *testing.T, v weir.Volume, file string) {
	t.Helper()
	lease, err := v.Borrow(t.Context(), "")
	if err != nil {
		t.Error("borrow wherever it is shown:", err)
		return
	}
	defer lease.Close()
	var stat unix.Stat_t
	if err := unix.Fstatat(lease.FD(), file, &stat, 0); err != nil {
		t.Error("what was borrowed is not the volume:", err)
	}
}

func TestVolumeOfAnotherNamespace(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
		w, r := start(t, options)
		n := voltest.NewNamespace(t, mountTmpfs(first))
		v := awaitForeign(t, w, r, first)
		eventually(t, "sight", func() bool { return v.Info().Sight == weir.SightFull })
		info := v.Info()
		if len(info.Mounts) != 1 || info.Mounts[0].Own || info.Mounts[0].Namespace == 0 || info.Sight != weir.SightFull ||
			info.Source != "other" {
			t.Errorf("told as %+v", info)
		}
		checkBorrowAnywhere(t, v, "file")
		if _, err := v.Borrow(t.Context(), first); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("borrow by its path in the other namespace: %v", err)
		}

		n.Do(mountTmpfs(second)) // in a namespace that is followed
		later := awaitForeign(t, w, r, second)
		n.Do("umount " + first)
		eventually(t, "left", func() bool { return r.count("left", v) == 1 })
		if _, err := v.Borrow(t.Context(), ""); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("borrow of what has left: %v", err)
		}
		n.End()
		eventually(t, "left with its namespace", func() bool { return r.count("left", later) == 1 })
	})
}

// TestVolumeStaysElsewhere unmounts in weir's namespace what another one shows still.
func TestVolumeStaysElsewhere(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.Each(t, func(t *testing.T, d *voltest.Volume) {
			if err := os.WriteFile(d.Dir+"/file", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			w, r := start(t, options)
			v := mustAt(t, w, d.Dir)
			n := voltest.NewNamespace(t, "true")
			eventually(t, "the copy", func() bool { return len(v.Info().Mounts) == 2 })
			if info := v.Info(); !info.Mounts[0].Own || info.Mounts[1].Own {
				t.Errorf("mounts %+v", info.Mounts)
			}
			lease, err := v.Borrow(t.Context(), d.Dir)
			if err != nil {
				t.Fatal(err)
			}
			d.Unmount()
			eventually(t, "the call back", func() bool { return isDone(lease) })
			if err := lease.Close(); err != nil {
				t.Fatal(err)
			}
			if info := v.Info(); len(info.Mounts) != 1 || info.Mounts[0].Own || r.count("left", v) != 0 {
				t.Errorf("unmounted in one of two namespaces: %+v", info.Mounts)
			}
			if at := mustAt(t, w, d.Dir); at.ID() == v.ID() {
				t.Error("the bare mount point shows the volume")
			}
			checkBorrowAnywhere(t, v, "file")
			if _, err := v.Borrow(t.Context(), d.Dir); weir.KindOf(err) != weir.KindAbsent {
				t.Errorf("borrow where it was: %v", err)
			}
			if d.FS != "tmpfs" {
				d.Mount()
				if at := mustAt(t, w, d.Dir); at.ID() != v.ID() {
					t.Error("another volume after the device was mounted again")
				}
				d.Unmount()
			}
			n.End()
			eventually(t, "left", func() bool { return r.count("left", v) == 1 })
		})
	})
}

// TestDeviceNumberOfADeadNamespace mounts a volume that gets the device number of one which has died untold.
func TestDeviceNumberOfADeadNamespace(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		there, here := filepath.Join(t.TempDir(), "there"), t.TempDir()
		w, r := start(t, options)
		n := voltest.NewNamespace(t, mountTmpfs(there))
		v := awaitForeign(t, w, r, there).(*volume)
		n.End()
		eventually(t, "the same device number", func() bool {
			if err := unix.Mount("again", here, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			var stat unix.Stat_t
			if err := unix.Stat(here, &stat); err != nil {
				t.Fatal(err)
			}
			if mount.Device(stat.Dev) == v.device {
				return true
			}
			voltest.Unmount(t, here)
			return r.count("left", v) > 0 // others mount too, and have it now
		})
		if at := mustAt(t, w, here); at.ID() == v.ID() {
			t.Error("a volume is taken for one that has died")
		}
		eventually(t, "left", func() bool { return r.count("left", v) == 1 })
		_ = unix.Unmount(here, 0)
	})
}

// TestPinnedNamespace follows a namespace that no process is in, and lets it die.
func TestPinnedNamespace(t *testing.T) {
	w, r := start(t, Options{})
	if len(w.OutOfSight()) > 0 {
		voltest.Skip(t, "NS_MNT_GET_NEXT", "run on Linux 6.12 or later")
	}
	dir := t.TempDir()
	point, pin := filepath.Join(dir, "point"), filepath.Join(dir, "pin")
	if err := os.WriteFile(pin, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := pinned(t, pin)
	var stat unix.Stat_t
	if err := unix.Stat(pin, &stat); err != nil {
		t.Fatal(err)
	}
	n.Do(mountTmpfs(point))
	n.End()
	v := awaitForeign(t, w, r, point)
	checkBorrowAnywhere(t, v, "file")
	voltest.Unmount(t, pin)
	eventually(t, "left", func() bool { return r.count("left", v) == 1 })
	all, err := mount.Namespaces()
	if err != nil || slices.ContainsFunc(all, func(n mount.Namespace) bool { return n.Inode == stat.Ino }) {
		t.Errorf("the namespace lives on, %v", err)
	}
}

// pinned makes a namespace and binds it to a file. The kernel lets that be done for a namespace with a higher id than
// one's own; it gives ids out by processor (6.18), so that a younger one may have a lower id.
func pinned(t *testing.T, pin string) *voltest.Namespace {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &all) }()
	for cpu := range len(all) * 64 {
		if !all.IsSet(cpu) {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Fatal(err)
		}
		n := voltest.NewNamespace(t, "true")
		err := unix.Mount(fmt.Sprintf("/proc/%d/ns/mnt", n.PID()), pin, "", unix.MS_BIND, "")
		if err == nil {
			return n
		}
		if err != unix.EINVAL {
			t.Fatal(err)
		}
		n.End()
	}
	t.Fatal("no namespace has a higher id than this one")
	return nil
}

// TestManyNamespaces follows 200 namespaces with a volume of each, and lets go of all.
func TestManyNamespaces(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		const many = 200
		w, r := start(t, options)
		before := fd.Open()
		dir := t.TempDir()
		begun := time.Now()
		var all []*voltest.Namespace
		for i := range many {
			all = append(all, voltest.NewNamespace(t, mountTmpfs(fmt.Sprintf("%s/%d", dir, i))))
		}
		t.Logf("%d namespaces made in %v", many, time.Since(begun))
		begun = time.Now()
		for i := range many {
			v := awaitForeign(t, w, r, fmt.Sprintf("%s/%d", dir, i))
			if i%20 == 0 {
				checkBorrowAnywhere(t, v, "file")
			}
		}
		t.Logf("the last was told %v later", time.Since(begun))
		w.looking.Lock()
		w.elsewhere.stirred = false
		begun = time.Now()
		w.lookElsewhere(false, restless)
		t.Logf("a look at them when nothing has changed: %v", time.Since(begun))
		w.looking.Unlock()
		for _, n := range all {
			n.End()
		}
		eventually(t, "all left", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, in := range w.model.present {
				if len(in.foreign) > 0 && filepath.Dir(in.foreign[0].Point) == dir {
					return false
				}
			}
			return true
		})
		if now := fd.Open(); now > before+1 { // the group in which marks are tried is kept
			t.Errorf("%d descriptors more than before", now-before)
		}
	})
}

// TestWhatOthersAnswerForIsNotAsked stops the process behind a file system of another namespace, with a volume below it:
// neither is looked at, and nothing waits for them.
func TestWhatOthersAnswerForIsNotAsked(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		voltest.RequireTool(t, "bindfs", "bindfs")
		dir := t.TempDir()
		back, at := filepath.Join(dir, "back"), filepath.Join(dir, "at")
		w, r := start(t, options)
		n := voltest.NewNamespace(t, fmt.Sprintf("mkdir -p %[1]s/m %[2]s; bindfs -f %[1]s %[2]s >/dev/null 2>&1 & echo $! > %[3]s/pid\n"+
			"until mountpoint -q %[2]s; do sleep 0.01; done; mount -t tmpfs below %[2]s/m; kill -STOP $(cat %[3]s/pid)", back, at, dir))
		defer n.Do("kill -KILL $(cat " + dir + "/pid)")
		begun := time.Now()
		for _, point := range []string{at, at + "/m"} {
			if info := awaitForeign(t, w, r, point).Info(); info.Sight != weir.SightNothing || info.SightReason == "" {
				t.Errorf("%s: %+v", point, info)
			}
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}
