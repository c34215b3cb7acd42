package replicate

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// batchOf returns a batch of a unit that remembers these nodes, on a source without a target.
func batchOf(t *testing.T, source string, nodes ...replica.Node) *batch {
	t.Helper()
	src, err := tree.OpenPath(source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	db, err := index.Open("", index.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	u := &unit{ix: db.Replica(1), place: &place{}}
	w := u.ix.NewBatch()
	for _, node := range nodes {
		w.Put(node)
	}
	if err := w.Commit(false); err != nil {
		t.Fatal(err)
	}
	b := u.newBatch(&session{ctx: t.Context(), u: u, keys: u.place.keys(), root: rootKey, src: src}, walkMode{})
	b.ix = u.ix.NewBatch()
	t.Cleanup(b.ix.Close)
	return b
}

var rootKey = weir.Handle(keysOf(0).epoch + string(keyRoot))

// TestDirectoryThatIsNotWhereItWas has directories finished that are not found any more. One without a handle is found by its
// path, and may be on its way to another: it is looked at again, but not at once and over and over.
func TestDirectoryThatIsNotWhereItWas(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("directories are opened by handle, which takes root")
	}
	source := t.TempDir()
	removed := filepath.Join(source, "removed")
	if err := os.Mkdir(removed, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := tree.OpenPath(removed)
	if err != nil {
		t.Fatal(err)
	}
	self, err := dir.Self()
	if dir.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(removed); err != nil {
		t.Fatal(err)
	}
	k := keysOf(0)
	moved, handle := weir.Handle(k.epoch+string(keyPath)+"moved"), k.ofHandle(self.Handle)
	for name, c := range map[string]struct {
		key    weir.Handle
		parent weir.Handle
		again  int
	}{
		"without a handle":            {moved, rootKey, 1},
		"without a handle and parked": {moved, replica.Parking, 0},
		"with a handle":               {handle, rootKey, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := batchOf(t, source, replica.Node{
				Key: c.key, Source: replica.Attr{Mode: replica.TypeDir}, Names: []replica.Name{{Parent: c.parent, Name: "d"}},
			})
			b.touch(c.key)
			if err := b.finishDirs(); err != nil {
				t.Fatal(err)
			}
			if b.u.later.owed != c.again || b.u.dirty.Len() > 0 {
				t.Errorf("%d are owed, %d are dirty", b.u.later.owed, b.u.dirty.Len())
			}
		})
	}
}

// TestWhatIsMovedIsIntended: a file that is known gets its new name at once, also if its content comes later.
func TestWhatIsMovedIsIntended(t *testing.T) {
	from, to := replica.Name{Parent: rootKey, Name: "from"}, replica.Name{Parent: rootKey, Name: "to"}
	key := weir.Handle("file")
	for name, f := range map[string]find{
		"small":        {copied: &copied{}},
		"large":        {large: true},
		"left for now": {deferred: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := batchOf(t, t.TempDir(), replica.Node{Key: key, Source: replica.Attr{Mode: replica.TypeFile}, Names: []replica.Name{from}})
			f.at, f.key, f.object.Mode = to, key, replica.TypeFile
			b.finds = append(b.finds, &f)
			list, makes, err := b.intents()
			if err != nil || !makes || !slices.Equal(list, []intent{{to, key}, {from, key}}) {
				t.Errorf("%v %v %v", list, makes, err)
			}
			f.isNew = true
			if list, _, err := b.intents(); err != nil || f.copied == nil && len(list) > 0 {
				t.Errorf("nothing of one that is new is shown: %v %v", list, err)
			}
		})
	}
}
