package replicate

import (
	"fmt"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// Trees that are gone through at the same time do not close each other's directories, however deep they are.
func TestOpenDirsKeepsWhatIsUsed(t *testing.T) {
	var o openDirs
	defer o.forget()
	key := func(tree, level int) weir.Handle { return weir.Handle(fmt.Sprintf("%d/%d", tree, level)) }
	open := func(k weir.Handle, above int) {
		o.put(k, openRoot(t), above)
	}
	const trees, deep = 64, 1000
	for i := range trees { // Each way is gone once.
		for above := maxWay - 1; above >= 0; above-- {
			open(key(i, deep-above), above)
		}
		o.trim()
	}
	if n := len(o.dirs); n > maxKeptDirs {
		t.Errorf("%d directories are open", n)
	}
	for level := deep; level < deep+100; level++ {
		for i := range trees {
			if o.get(key(i, level)) == nil {
				t.Fatalf("the directory of tree %d at level %d, the last that was used there, was closed", i, level)
			}
			open(key(i, level+1), 0)
			o.trim()
		}
	}
	o.drop(key(0, deep+100))
	if o.has(key(0, deep+100)) || !o.has(key(1, deep+100)) {
		t.Error("drop closes another one")
	}
}

// Who goes upwards finds the directories above, nearest first.
func TestOpenDirsKeepsTheWayUp(t *testing.T) {
	var o openDirs
	defer o.forget()
	key := func(level int) weir.Handle { return weir.Handle(fmt.Sprint(level)) }
	ways := 0
	for level := 2000; level > 0; level-- {
		if o.get(key(level)) == nil {
			ways++
			for above := min(maxWay, level) - 1; above >= 0; above-- {
				o.put(key(level-above), openRoot(t), above)
			}
		}
		o.trim()
	}
	if ways > 80 {
		t.Errorf("2,000 levels upwards take %d ways from the root", ways)
	}
}

func openRoot(t *testing.T) *tree.Dir {
	t.Helper()
	root, err := tree.OpenPath("/")
	if err != nil {
		t.Fatal(err)
	}
	return root
}
