package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// TestParkedDirectoryThatIsGone takes a directory out of the parking behind the index's back, as a batch does that
// is killed after it has moved or removed the directory and before the index was told.
func TestParkedDirectoryThatIsGone(t *testing.T) {
	voltest.RequireRoot(t)
	volume, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	src := mkdir(t, filepath.Join(volume, "source"))
	write(t, filepath.Join(mkdir(t, filepath.Join(src, "parked/below")), "file"), "1")
	write(t, filepath.Join(src, "parked/file"), "2")
	o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "state")}
	r := start(t, o)
	r.equal(src, dst)

	// It lives on outside of the source, so it waits in the parking until everything has been looked at.
	if err := os.Rename(filepath.Join(src, "parked"), filepath.Join(volume, "outside")); err != nil {
		t.Fatal(err)
	}
	r.equal(src, dst)
	r.quiet(10 * time.Second)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	parked, err := filepath.Glob(filepath.Join(dst, ".weir/parked/*/*"))
	if err != nil || len(parked) != 1 {
		t.Fatalf("parked are %q, %v", parked, err)
	}
	if err := os.RemoveAll(parked[0]); err != nil {
		t.Fatal(err)
	}

	r = start(t, o)
	r.quiet(10 * time.Second)
	write(t, filepath.Join(src, "new"), "3")
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
