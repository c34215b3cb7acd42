package mount_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

func requireStatmount(t *testing.T) {
	t.Helper()
	if !mount.Complete() {
		voltest.Skip(t, "statmount", "run on Linux 6.13 or later")
	}
}

// at returns the mount that mountinfo shows at point.
func at(t *testing.T, point string) mount.Entry {
	t.Helper()
	table, err := mount.OpenTable()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	entries, err := table.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		if e.Point == point {
			return e
		}
	}
	t.Fatalf("no mount at %q", point)
	return mount.Entry{}
}

func TestStatmountAndMountinfoAgree(t *testing.T) {
	requireStatmount(t)
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		voltest.Bind(t, v.Dir, filepath.Join(t.TempDir(), "a b\n\\c"))
		table, err := mount.OpenTable()
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		fromText, err := table.Read()
		if err != nil {
			t.Fatal(err)
		}
		ids, err := mount.List(0)
		if err != nil {
			t.Fatal(err)
		}
		var fromStat []mount.Entry
		for _, id := range ids {
			e, err := mount.Stat(0, id)
			if err != nil {
				t.Fatal(err)
			}
			fromStat = append(fromStat, e)
		}
		byPoint := func(a, b mount.Entry) int {
			return strings.Compare(a.Point+a.FSType+a.Device.String(), b.Point+b.FSType+b.Device.String())
		}
		slices.SortFunc(fromText, byPoint)
		slices.SortFunc(fromStat, byPoint)
		// The superblock's options are printed with another beginning.
		ignore := cmpopts.IgnoreFields(mount.Entry{}, "ID", "ParentID", "SuperOptions")
		if diff := cmp.Diff(fromText, fromStat, ignore); diff != "" {
			t.Errorf("mountinfo and statmount differ:\n%s", diff)
		}
	})
}

func TestStatOfAMountThatIsGone(t *testing.T) {
	requireStatmount(t)
	v := voltest.New(t, "tmpfs")
	id, err := mount.UniqueID(v.Dir)
	if err != nil {
		t.Fatal(err)
	}
	v.Unmount()
	if _, err := mount.Stat(0, id); !errors.Is(err, unix.ENOENT) {
		t.Errorf("statmount of a mount that is gone: %v", err)
	}
}

func TestTableTellsChanges(t *testing.T) {
	v := voltest.New(t, "tmpfs")
	table, err := mount.OpenTable()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	changed := func() bool {
		t.Helper()
		is, err := table.Changed()
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	changed()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"bind", func() { voltest.Bind(t, v.Dir, filepath.Join(t.TempDir(), "x")) }},
		{"remount", func() { v.Remount(unix.MS_RDONLY, "") }},
		{"umount", v.Unmount},
	} {
		if changed() {
			t.Errorf("a change before %s", step.name)
		}
		step.do()
		if !changed() {
			t.Errorf("%s tells no change", step.name)
		}
	}
}

func TestEventsOfMounts(t *testing.T) {
	events, err := mount.NewEvents()
	if errors.Is(err, unix.EINVAL) {
		voltest.Skip(t, "mount events", "run on Linux 6.15 or later")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if err := events.MarkOwn(); err != nil {
		t.Fatal(err)
	}
	v := voltest.New(t, "tmpfs")
	id, err := mount.UniqueID(v.Dir)
	if err != nil {
		t.Fatal(err)
	}
	v.Unmount()
	got, err := events.Read(nil)
	want := []mount.Event{{ID: id, Attached: true}, {ID: id, Detached: true}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestWaiterIsInterrupted(t *testing.T) {
	waiter, err := mount.NewWaiter()
	if err != nil {
		t.Fatal(err)
	}
	defer waiter.Close()
	time.AfterFunc(5*time.Millisecond, waiter.Interrupt)
	if changed, err := waiter.Wait(nil, nil, -1); changed || err != nil {
		t.Errorf("changed %v, %v", changed, err)
	}
	if changed, err := waiter.Wait(nil, nil, time.Millisecond); changed || err != nil {
		t.Errorf("timeout: changed %v, %v", changed, err)
	}
}

func TestMakeAndAttach(t *testing.T) {
	voltest.RequireRoot(t)
	before := fd.Open()
	detached, err := mount.Make("tmpfs", true, mount.Option{Name: "size", Value: "1M"}, mount.Option{Name: "source", Value: "made"})
	if err != nil {
		t.Fatal(err)
	}
	point := t.TempDir()
	if err := mount.Attach(detached, point); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
	if err := detached.Close(); err != nil {
		t.Fatal(err)
	}
	if e := at(t, point); e.FSType != "tmpfs" || !e.ReadOnly || e.Source != "made" {
		t.Errorf("attached %+v", e)
	}
	if _, err := mount.Make("no such type", false); err == nil {
		t.Error("a file system of no type is made")
	}
	if fd.Open() != before {
		t.Errorf("%d descriptors are left open", fd.Open()-before)
	}
}

func TestNamespacesHoldsOwn(t *testing.T) {
	voltest.RequireRoot(t)
	all, err := mount.Namespaces()
	if errors.Is(err, unix.ENOTTY) {
		voltest.Skip(t, "NS_MNT_GET_NEXT", "run on Linux 6.12 or later")
	}
	if err != nil {
		t.Fatal(err)
	}
	own, err := mount.OwnInode()
	if err != nil || all[0].Inode != own {
		t.Errorf("own %d, first %+v, %v", own, all[0], err)
	}
	// The process that stays outside voltest's namespace is in another one.
	if len(all) < 2 {
		t.Errorf("only %d namespaces", len(all))
	}
	for _, namespace := range all {
		ids, err := mount.List(namespace.ID)
		if err != nil {
			t.Errorf("%+v: %v", namespace, err)
		}
		for _, id := range ids[:min(2, len(ids))] {
			if _, err := mount.Stat(namespace.ID, id); err != nil {
				t.Errorf("%+v: %v", namespace, err)
			}
		}
	}
}

// TestUmountBesideClonesIsNeverBusy is why ClonePrivate exists.
func TestUmountBesideClonesIsNeverBusy(t *testing.T) {
	dir := t.TempDir()
	voltest.RequireRoot(t)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }()
	v := voltest.New(t, "tmpfs", voltest.At(filepath.Join(dir, "m")))
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- enterClones(dir, stop) }()
	for range 300 {
		if err := unix.Unmount(v.Dir, 0); err != nil {
			t.Error("umount:", err)
			break
		}
		v.Mount()
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func enterClones(dir string, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		tree, err := mount.ClonePrivate(dir)
		if err != nil {
			return err
		}
		n, err := unix.Openat(tree.Int(), "m", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			_ = unix.Close(n)
		}
		if err := errors.Join(err, tree.Close()); err != nil {
			return err
		}
	}
}
