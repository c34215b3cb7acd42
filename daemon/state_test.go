package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/voltest"
)

// TestRefusalLeavesNoState has a target refused, which happens after the state directory was made.
func TestRefusalLeavesNoState(t *testing.T) {
	voltest.RequireRoot(t)
	dir, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dst, "theirs"), "x")
	there := mkdir(t, filepath.Join(dir, "there"))
	if err := os.Chmod(there, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{filepath.Join(dir, "new/below/state"), there} {
		_, err := Open(t.Context(), Options{Source: t.TempDir(), Targets: []string{dst}, State: state})
		if weir.KindOf(err) != weir.KindRefused {
			t.Fatalf("it is not refused: %v", err)
		}
	}
	if !absent(filepath.Join(dir, "new")) {
		t.Error("a directory was made and stays")
	}
	if left, err := os.ReadDir(there); err != nil || len(left) > 0 {
		t.Errorf("in the directory that was there stays %v (%v)", left, err)
	}
}

// TestRefusalKeepsOldState has another target refused by a mirror that has run before.
func TestRefusalKeepsOldState(t *testing.T) {
	voltest.RequireRoot(t)
	o := Options{Source: t.TempDir(), Targets: []string{filepath.Join(t.TempDir(), "replica")}, State: filepath.Join(t.TempDir(), "state")}
	write(t, filepath.Join(o.Source, "f"), "1")
	r := start(t, o)
	r.equal(o.Source, o.Targets[0])
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	more := o
	more.Targets = append(more.Targets, t.TempDir())
	write(t, filepath.Join(more.Targets[1], "theirs"), "x")
	if _, err := Open(t.Context(), more); weir.KindOf(err) != weir.KindRefused {
		t.Fatalf("it is not refused: %v", err)
	}
	if absent(filepath.Join(o.State, indexDir)) {
		t.Error("the index was thrown away")
	}
	start(t, o).equal(o.Source, o.Targets[0])
}
