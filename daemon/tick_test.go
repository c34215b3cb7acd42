package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// TestWrittenAgainInTheSameTick changes the content of files while weir is away and leaves every attribute as it was,
// as a second write does on a kernel that keeps time by the tick. A file that was copied within a tick of its last change
// is compared, once; of any other the metadata proves that it is the same, and is all that is read.
func TestWrittenAgainInTheSameTick(t *testing.T) {
	voltest.RequireRoot(t)
	const first, second, third = "written first:", "written again:", "written third:"
	s := newScene(t, "ext4", "xfs", false)
	s.o.coarseTimes = true
	write(t, s.in("old"), "old "+first)
	time.Sleep(50 * time.Millisecond) // Then its time is older than any tick.
	s.begin()
	s.alike()
	write(t, filepath.Join(s.from.Dir, "young"), "young "+first)
	rename(t, filepath.Join(s.from.Dir, "young"), s.in("young")) // Nobody has it open: it is copied at once.
	s.alike()
	s.end()

	rewrite(t, s.from, first, second)
	s.begin()
	s.awaitText(s.at("young"), "young "+second)
	s.quiet(10 * time.Second)
	if got := text(t, s.at("old")); got != "old "+first {
		t.Errorf("a file that could not change unseen was read again: %q", got)
	}
	s.end()

	rewrite(t, s.from, second, third)
	s.begin()
	s.quiet(10 * time.Second)
	if got := text(t, s.at("young")); got != "young "+second {
		t.Errorf("a file that was compared long after its last change was read again: %q", got)
	}
	s.end()
}

// rewrite changes a text of the same length wherever it stands on a volume, behind the file system's back.
func rewrite(t *testing.T, v *voltest.Volume, from, to string) {
	t.Helper()
	v.Unmount()
	defer v.Mount()
	image, err := os.ReadFile(v.Image)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(v.Device, os.O_WRONLY|os.O_SYNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := 0; ; at += len(to) {
		next := bytes.Index(image[at:], []byte(from))
		if next < 0 {
			return
		}
		at += next
		if _, err := f.WriteAt([]byte(to), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}
