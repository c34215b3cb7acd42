package replica

import (
	"fmt"
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

// TestDirtyNeverLoses adds places at random and takes them in parts: each is handed out once it was added,
// by its name, by its directory or as everything, whatever the bounds.
func TestDirtyNeverLoses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Dirty{MaxNames: rapid.IntRange(1, 4).Draw(t, "names"), MaxDirs: rapid.IntRange(1, 4).Draw(t, "dirs")}
		type place struct {
			dir  weir.Handle
			name string
		}
		owed := map[place]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "take") > 0 {
				p := place{weir.Handle(fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "dir"))), fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "name"))}
				d.Add(Item{Dir: p.dir, Name: p.name, Ops: weir.OpModify, Whole: p.name == "6"})
				owed[p] = true
				continue
			}
			if d.All() {
				clear(owed)
			}
			items := d.Take(rapid.IntRange(1, 10).Draw(t, "max"))
			for p := range owed {
				if covers(items, p.dir, p.name) {
					delete(owed, p)
				}
			}
		}
		all := d.All()
		items := d.Take(1 << 20)
		for p := range owed {
			if !all && !covers(items, p.dir, p.name) {
				t.Fatalf("%v was lost", p)
			}
		}
		if d.Len() != 0 {
			t.Fatalf("%d places are left", d.Len())
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
