package volume

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
)

// TestWhere follows two paths to one directory, and one to what does not exist, by the table of mounts.
func TestWhere(t *testing.T) {
	v := voltest.New(t, "ext4")
	shown := filepath.Join(t.TempDir(), "shown")
	for _, dir := range []string{v.Dir + "/a", shown} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	voltest.Bind(t, v.Dir+"/a", shown)
	w := New(Options{})
	device, on, known := w.Where(v.Dir + "/a/b/c")
	if want := mustAt(t, w, v.Dir).Info().Device; !known || device != want || on != "/a/b/c" {
		t.Errorf("it is %s on %s, %t, want /a/b/c on %s", on, device, known, want)
	}
	if again, at, known := w.Where(shown + "/b/c"); !known || again != device || at != on {
		t.Errorf("by the bind mount it is %s on %s, %t", at, again, known)
	}
	if other, _, known := w.Where("/proc/nobody"); !known || other == device {
		t.Errorf("another path is on %s, %t", other, known)
	}
}
