package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirfs/weir"
)

// covers reports whether looking at the items looks at a name of a directory.
func covers(items []Item, dir weir.Handle, name string) bool {
	for _, i := range items {
		if i.Dir == dir && (i.Whole || i.Name == name) {
			return true
		}
	}
	return false
}

// handsOut reports whether the items have an inode looked at that had a name when something was reported.
func handsOut(items []Item, dir weir.Handle, name string, object weir.Handle) bool {
	return slices.ContainsFunc(items, func(i Item) bool {
		return i.Object == object && (i.Dir == "" || i.Dir == dir && i.Name == name)
	})
}

// TestDirtyNeverLoses adds places and inodes at random and takes them in parts: each is handed out once it was added, a
// place by its name, by its directory or as everything, an inode by itself, with its name or as everything, whatever the
// bounds.
func TestDirtyNeverLoses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Dirty{MaxNames: rapid.IntRange(1, 4).Draw(t, "names"), MaxDirs: rapid.IntRange(1, 4).Draw(t, "dirs"), MaxSize: rapid.IntRange(1, 8).Draw(t, "size")}
		type place struct {
			dir  weir.Handle
			name string
		}
		type object struct {
			place
			key weir.Handle
		}
		owed, inodes := map[place]bool{}, map[object]bool{}
		settle := func(items []Item, all bool) {
			for p := range owed {
				if all || covers(items, p.dir, p.name) {
					delete(owed, p)
				}
			}
			for o := range inodes {
				if all || handsOut(items, o.dir, o.name, o.key) {
					delete(inodes, o)
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "take") > 0 {
				p := place{weir.Handle(fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "dir"))), fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "name"))}
				o := object{p, weir.Handle(rapid.SampledFrom([]string{"", "i", "j"}).Draw(t, "object"))}
				if o.key != "" && p.name == "5" { // Of which the name is not known.
					d.Add(Item{Object: o.key, Ops: weir.OpModify})
					inodes[o] = true
					continue
				}
				d.Add(Item{Dir: p.dir, Name: p.name, Ops: weir.OpModify, Object: o.key, Whole: p.name == "6"})
				owed[p] = true
				if o.key != "" && p.name != "6" {
					inodes[o] = true
				}
				continue
			}
			settle(nil, d.All())
			settle(d.Take(rapid.IntRange(1, 10).Draw(t, "max")), false)
		}
		settle(nil, d.All())
		for d.Len() > 0 {
			settle(d.Take(1<<20), false)
		}
		for p := range owed {
			t.Fatalf("%v was lost", p)
		}
		for o := range inodes {
			t.Fatalf("%v was lost", o)
		}
	})
}

func TestDirtyKeepsOperationsBesideAWholeDirectory(t *testing.T) {
	var d Dirty
	d.Add(Item{Dir: "d", Name: "f", Ops: weir.OpModify})
	d.Add(Item{Dir: "d", Whole: true})
	d.Add(Item{Dir: "d", Name: "f", Ops: weir.OpClose})
	var ops weir.Ops
	for _, i := range d.Take(10) {
		if i.Name == "f" {
			ops = i.Ops
		}
	}
	if ops != weir.OpModify|weir.OpClose {
		t.Errorf("operations on f are %v", ops)
	}
}

func TestBackoffDoublesToItsMaximum(t *testing.T) {
	b := Backoff{First: time.Second, Max: 5 * time.Second}
	for failures, want := range []time.Duration{1: 1, 2: 2, 3: 4, 4: 5, 100: 5} {
		if want > 0 && b.Delay(failures) != want*time.Second {
			t.Errorf("after %d failures %v, want %v", failures, b.Delay(failures), want*time.Second)
		}
	}
}
