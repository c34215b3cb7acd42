package volume

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// entry is a mount of device 7:device, below the root mount 1.
func entry(id uint64, device uint32, point string) mount.Entry {
	e := mount.Entry{ID: id, ParentID: 1, Device: mount.MakeDevice(7, device), Root: "/", Point: point, FSType: "ext4"}
	if point == "/" {
		e.ParentID = 0
	}
	return e
}

func tell(changes []change) string {
	var words []string
	for _, c := range changes {
		word := map[changeKind]string{arrived: "arrived", changed: "changed", left: "left"}[c.kind]
		if c.parted {
			word = "parted"
		}
		words = append(words, fmt.Sprint(word, " ", c.id))
	}
	return strings.Join(words, ", ")
}

func TestModelComparesTables(t *testing.T) {
	root, a, b, c := entry(1, 1, "/"), entry(2, 2, "/a"), entry(3, 3, "/b"), entry(4, 4, "/c")
	before := []mount.Entry{root, a, b, c} // volumes 1, 2, 3, 4
	changed := func(e mount.Entry, change func(*mount.Entry)) mount.Entry {
		change(&e)
		return e
	}
	for _, test := range []struct {
		name   string
		after  []mount.Entry
		unique bool
		says   verdict // of the sentinels on volume 3
		want   string
	}{
		{"nothing", before, false, unwatched, ""},
		{"gone", []mount.Entry{root, a, c}, false, unwatched, "left 3"},
		{"new", append(slices.Clone(before), entry(9, 9, "/n")), false, unwatched, "arrived 5"},
		{"bound again", append(slices.Clone(before), entry(9, 3, "/n")), false, unwatched, "changed 3"},
		{"mounted again, last", before, false, dead, "left 3, arrived 5"},
		{"mounted again, at the end", []mount.Entry{root, a, c, b}, false, unwatched, "left 3, arrived 5"},
		{"same superblock at the end", []mount.Entry{root, a, c, b}, false, alive, "parted 3"},
		{"at the end, unique", []mount.Entry{root, a, c, b}, true, unwatched, ""},
		{"id of another device", []mount.Entry{root, a, entry(3, 9, "/b"), c}, false, alive, "left 3, arrived 5"},
		{"two swap ids", []mount.Entry{root, a, entry(3, 4, "/b"), entry(4, 3, "/c")}, false, unwatched,
			"left 3, left 4, arrived 5, arrived 6"},
		{"moved", []mount.Entry{root, a, entry(3, 3, "/m"), c}, false, alive, "changed 3"},
		{"moved, perhaps", []mount.Entry{root, a, entry(3, 3, "/m"), c}, false, unwatched, "left 3, arrived 5"},
		{"moved, unique", []mount.Entry{root, a, entry(3, 3, "/m"), c}, true, unwatched, "changed 3"},
		{"other root", []mount.Entry{root, a, changed(b, func(e *mount.Entry) { e.Root = "/x" }), c}, false, alive, "parted 3"},
		{"read-only", []mount.Entry{root, a, changed(b, func(e *mount.Entry) { e.ReadOnly = true }), c}, false, unwatched,
			"changed 3"},
		{"replaced by a bind", []mount.Entry{root, a, entry(9, 3, "/n"), c}, true, alive, "parted 3"},
		{"replaced, unique", []mount.Entry{root, a, entry(9, 3, "/n"), c}, true, unwatched, "left 3, arrived 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m model
			m.replace(before, test.unique, true, unguarded)
			got := tell(m.replace(test.after, test.unique, false, func(id weir.VolumeID) verdict {
				if id == 3 {
					return test.says
				}
				return unwatched
			}))
			if got != test.want {
				t.Errorf("told %q, want %q", got, test.want)
			}
			if again := tell(m.replace(test.after, test.unique, false, unguarded)); again != "" {
				t.Errorf("the same table again tells %q", again)
			}
		})
	}
}

func TestModelFollowsEvents(t *testing.T) {
	var m model
	steps := []struct {
		changes []change
		want    string
	}{
		{m.replace([]mount.Entry{entry(1, 1, "/")}, true, true, unguarded), "arrived 1"},
		{m.attach(entry(5, 5, "/a"), false), "arrived 2"},
		{m.attach(entry(5, 5, "/a"), false), ""},
		{m.attach(entry(6, 5, "/b"), false), "changed 2"},
		{m.attach(entry(5, 5, "/c"), false), "changed 2"},
		{m.detach(7), ""},
		{m.update(entry(7, 5, "/late")), ""},
		{m.detach(5), "parted 2"},
		{m.detach(6), "left 2"},
		{m.attach(entry(8, 5, "/a"), false), "arrived 3"},
	}
	for i, step := range steps {
		if got := tell(step.changes); got != step.want {
			t.Errorf("step %d tells %q, want %q", i, got, step.want)
		}
	}
}

func TestLocate(t *testing.T) {
	child := func(id, parent uint64, point string) mount.Entry {
		return mount.Entry{ID: id, ParentID: parent, Point: point}
	}
	table := []mount.Entry{
		child(1, 0, "/"), child(2, 1, "/a/b"), child(3, 2, "/a/b/c"), child(4, 1, "/x"), child(5, 4, "/x"),
		child(6, 1, "/h/i"), child(7, 1, "/h"), child(8, 99, "/elsewhere"), child(9, 1, ""),
	}
	for path, want := range map[string]uint64{
		"/": 1, "/a": 1, "/a/b": 2, "/a/bc": 1, "/a/b/c/d": 3, "/x": 5, "/x/y": 5, "/h/i": 7, "/elsewhere": 1,
	} {
		if got, ok := locate(table, path); !ok || got.ID != want {
			t.Errorf("locate(%q) = %d, %v; want %d", path, got.ID, ok, want)
		}
	}
	if _, ok := locate(table[1:], "/a"); ok {
		t.Error("found without a root")
	}
	if visible(table, table[5]) || visible(table, table[3]) || !visible(table, table[4]) {
		t.Error("what is hidden is visible")
	}
}

func TestStacked(t *testing.T) {
	for _, test := range []struct {
		fsType, source, options string
		layer                   bool
		lower                   []string
	}{
		{"ext4", "/dev/sda1", "rw", false, nil},
		{"overlay", "overlay", `rw,lowerdir=/a:/b\:c::/data,upperdir=/u\040v,workdir=/w`, true,
			[]string{"/a", "/b:c", "/data", "/u v"}},
		{"overlay", "overlay", `rw,lowerdir+=/a,lowerdir+=/b\,c,upperdir=rel`, true, []string{"/a", "/b,c"}},
		{"fuse.bindfs", "/src", "rw", true, []string{"/src"}},
		{"fuse", "/src", "rw", true, []string{"/src"}},
		{"fuseblk", "/dev/sdb1", "rw", false, nil},
		{"fuse.sshfs", "/looks/absolute", "rw", false, nil},
		{"ecryptfs", "/lower", "rw", true, []string{"/lower"}},
	} {
		layer, lower := stacked(test.fsType, test.source, test.options)
		if layer != test.layer || !slices.Equal(lower, test.lower) {
			t.Errorf("%s %s: layer %v, lower %q", test.fsType, test.options, layer, lower)
		}
	}
}
