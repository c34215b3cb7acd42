package volume

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

func blkid(t *testing.T, tag, device string) string {
	t.Helper()
	out, err := exec.Command("blkid", "-p", "-s", tag, "-o", "value", device).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestIdentityStaysOverRemount(t *testing.T) {
	labels := map[string][]string{"ext4": {"-L", "two words"}, "xfs": {"-L", "two_words"}, "btrfs": {"-L", "two words"}}
	for fs, mkfs := range labels {
		t.Run(fs, func(t *testing.T) {
			d := voltest.New(t, fs, voltest.Mkfs(mkfs...))
			w, _ := start(t, Options{})
			first := mustAt(t, w, d.Dir).Info()
			id := first.Identity
			if id.FSType != fs || id.UUID != blkid(t, "UUID", d.Device) || first.Label != blkid(t, "LABEL", d.Device) {
				t.Errorf("identity %+v, label %q", id, first.Label)
			}
			if id.FSID == "" || id.RootHandle == "" || id.RootBirth.IsZero() || !first.Handles {
				t.Errorf("identity is incomplete: %+v", id)
			}
			if first.Source != d.Device || first.Pseudo || first.Layer || first.ReadOnly {
				t.Errorf("info %+v", first)
			}
			d.Unmount()
			d.Mount()
			if again := mustAt(t, w, d.Dir).Info(); again.Identity != id {
				t.Errorf("identity after the remount %+v, before %+v", again.Identity, id)
			}
		})
	}
}

// TestIdentityIsTheSuperblocks sees the same root whichever part of it is mounted.
func TestIdentityIsTheSuperblocks(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			d := voltest.New(t, fs)
			w, _ := start(t, Options{})
			whole := mustAt(t, w, d.Dir).Info().Identity
			sub := d.Dir + "/sub"
			if fs == "btrfs" {
				if out, err := exec.Command("btrfs", "subvolume", "create", sub).CombinedOutput(); err != nil {
					t.Fatal(err, string(out))
				}
			} else if err := os.Mkdir(sub, 0o755); err != nil {
				t.Fatal(err)
			}
			bind := filepath.Join(t.TempDir(), "bind")
			voltest.Bind(t, sub, bind)
			d.Unmount()

			other := New(Options{})
			part := mustAt(t, other, bind).Info()
			if part.Identity != whole || part.Mounts[0].Root != "/sub" {
				t.Errorf("by a part %+v, by the whole %+v", part, whole)
			}
			if part.Sight != weir.SightFull {
				t.Errorf("sight %v: %s", part.Sight, part.SightReason)
			}
		})
	}
}

func TestBtrfsSubvolumesAreOneVolume(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "btrfs")
		if out, err := exec.Command("btrfs", "subvolume", "create", d.Dir+"/sub").CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		if err := os.Mkdir(d.Dir+"/sub/deep", 0o755); err != nil {
			t.Fatal(err)
		}
		w, r := start(t, options)
		v := mustAt(t, w, d.Dir)
		top := d.Dir
		d.MountAt(filepath.Join(t.TempDir(), "again"))
		for _, path := range []string{d.Dir, top + "/sub", d.Dir + "/sub/deep"} {
			if at := mustAt(t, w, path); at.ID() != v.ID() {
				t.Errorf("%s is on another volume", path)
			}
			lease, err := v.Borrow(t.Context(), path)
			if err != nil {
				t.Error(err)
			} else if err := lease.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := v.Borrow(t.Context(), t.TempDir()); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("borrow of another volume's directory: %v", err)
		}
		other := voltest.New(t, "btrfs")
		if _, err := v.Borrow(t.Context(), other.Dir); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("borrow of another btrfs: %v", err)
		}
		if r.count("arrived", v) != 1 {
			t.Error("the volume has arrived twice")
		}
	})
}

func TestSight(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		base := voltest.New(t, "ext4")
		upper := voltest.New(t, "tmpfs")
		dir := t.TempDir()
		voltest.Bindfs(t, base.Dir, dir+"/bindfs")
		voltest.Overlay(t, false, base.Dir, upper.Dir+"/u", upper.Dir+"/w", dir+"/overlay")
		voltest.Overlay(t, true, base.Dir, upper.Dir+"/u2", upper.Dir+"/w2", dir+"/exported")
		w, _ := start(t, options)
		lower := mustAt(t, w, base.Dir).ID()
		over := mustAt(t, w, upper.Dir).ID()
		for _, c := range []struct {
			path, fsType string
			sight        weir.Sight
			reason       string
			handles      bool
			lower        []weir.VolumeID
		}{
			{base.Dir, "ext4", weir.SightFull, "", true, nil},
			{upper.Dir, "tmpfs", weir.SightFull, "", true, nil},
			{dir + "/bindfs", "fuse", weir.SightScan, "identifier", false, []weir.VolumeID{lower}},
			{dir + "/overlay", "overlay", weir.SightScan, "nfs_export=on", false, []weir.VolumeID{lower, over}},
			{dir + "/exported", "overlay", weir.SightFull, "", true, []weir.VolumeID{lower, over}},
			{"/proc", "proc", weir.SightNothing, "pseudo", false, nil},
		} {
			info := mustAt(t, w, c.path).Info()
			slices.Sort(info.Lower)
			want := slices.Sorted(slices.Values(c.lower))
			if !strings.HasPrefix(info.Identity.FSType, c.fsType) || info.Sight != c.sight || info.Handles != c.handles ||
				info.Layer != (c.lower != nil) || !slices.Equal(info.Lower, want) {
				t.Errorf("%s: %+v", c.path, info)
			}
			if c.reason == "" && info.SightReason != "" || !strings.Contains(info.SightReason, c.reason) {
				t.Errorf("%s: reason %q", c.path, info.SightReason)
			}
			if info.Pseudo != (c.fsType == "proc") {
				t.Errorf("%s: pseudo %v", c.path, info.Pseudo)
			}
		}
	})
}

func TestHiddenVolumeSaysSo(t *testing.T) {
	d := voltest.New(t, "ext4")
	v := mustAt(t, New(Options{}), d.Dir)
	w, _ := start(t, Options{})
	watched := mustAt(t, w, d.Dir)
	voltest.New(t, "tmpfs", voltest.At(d.Dir))
	hidden := watched.Info()
	if hidden.SightReason != errHidden.Error() || !hidden.OutOfReach || len(hidden.Mounts) != 1 {
		t.Errorf("hidden volume: %+v", hidden)
	}
	if _, err := v.Borrow(t.Context(), d.Dir); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("borrow through a mount that hides it: %v", err)
	}
}

// TestUncoveredVolumeIsToldOf takes the mount away that hid a volume when it was looked at, at its mount point and above
// it: no mount of the volume changes by that.
func TestUncoveredVolumeIsToldOf(t *testing.T) {
	for _, over := range []string{"a/b", "a", ""} {
		t.Run("/"+over, func(t *testing.T) {
			eachMode(t, func(t *testing.T, options Options) {
				dir := t.TempDir()
				d := voltest.New(t, "ext4", voltest.At(filepath.Join(dir, "a/b")))
				w, told := start(t, options)
				v := mustAt(t, w, d.Dir)
				cover := voltest.New(t, "tmpfs", voltest.At(filepath.Join(dir, over)))
				if hidden := v.Info(); hidden.SightReason != errHidden.Error() || !hidden.OutOfReach {
					t.Fatalf("hidden volume: %+v", hidden)
				}
				before := told.count("changed", v)
				cover.Unmount()
				eventually(t, "word of the volume that is visible again", func() bool { return told.count("changed", v) > before })
				if info := v.Info(); info.Sight != weir.SightFull || info.Identity.UUID == "" {
					t.Errorf("uncovered volume: %+v", info)
				}
			})
		})
	}
}

// TestVolumeThatIsHiddenLaterIsToldOf when it can be reached again: who has tried to meanwhile waits for that.
func TestVolumeThatIsHiddenLaterIsToldOf(t *testing.T) {
	eachMode(t, func(t *testing.T, options Options) {
		d := voltest.New(t, "ext4")
		w, told := start(t, options)
		v := mustAt(t, w, d.Dir)
		if info := v.Info(); info.Sight != weir.SightFull {
			t.Fatalf("examined: %+v", info)
		}
		cover := voltest.New(t, "tmpfs", voltest.At(d.Dir))
		var far weir.OutOfReach
		if _, err := v.Borrow(t.Context(), ""); !errors.As(err, &far) || far != errHidden {
			t.Fatalf("hidden volume: %v", err)
		}
		before := told.count("changed", v)
		cover.Unmount()
		eventually(t, "word of the volume that is visible again", func() bool { return told.count("changed", v) > before })
		lease, err := v.Borrow(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := lease.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestListIsOneShot(t *testing.T) {
	d := voltest.New(t, "xfs")
	listing, err := List(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.OutOfSight) > 0 {
		t.Errorf("out of sight: %q", listing.OutOfSight)
	}
	for _, info := range listing.Volumes {
		if slices.Contains(points(info), d.Dir) {
			if info.Sight != weir.SightFull || info.Identity.UUID == "" {
				t.Errorf("listed as %+v", info)
			}
			return
		}
	}
	t.Errorf("%s is not listed", d.Dir)
}
