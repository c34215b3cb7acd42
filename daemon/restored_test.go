package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
)

// TestRestoredDirectories moves directories to another volume, which the brake stops halfway, and copies them back: they
// are other directories then, and what is in them is there again.
func TestRestoredDirectories(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	backup := t.TempDir()
	for i := range 2100 {
		write(t, filepath.Join(mkdir(t, s.in(fmt.Sprintf("k%d", i%21))), fmt.Sprintf("f%d", i)), "x")
	}
	s.begin()
	s.alike()
	for k := range 21 {
		dir := fmt.Sprintf("k%d", k)
		if err := runTool("cp", "-a", s.in(dir), filepath.Join(backup, dir)); err != nil {
			t.Fatal(err)
		}
		remove(t, s.in(dir))
	}
	s.awaitPhase(s.src, replicate.PhaseBraked)
	kept, err := os.ReadDir(s.dst)
	if err != nil || len(kept) < 3 {
		t.Fatalf("the replica has %v, %v", kept, err)
	}
	for k := range 21 {
		dir := fmt.Sprintf("k%d", k)
		if err := runTool("cp", "-a", filepath.Join(backup, dir), s.in(dir)); err != nil {
			t.Fatal(err)
		}
		write(t, s.in(dir+"/new"), "new")
	}
	s.equal(s.src, s.dst)
	s.within(15*time.Second, "the brake lets go", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseInSync })
	s.end()
}
