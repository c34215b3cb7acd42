package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestMoreFailThanAreRemembered has a target refuse more names than are remembered one by one.
func TestMoreFailThanAreRemembered(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "xfs").Dir, "s")), voltest.New(t, "tmpfs").Dir
	inodes := func(n int) {
		t.Helper()
		if err := unix.Mount("", dst, "", unix.MS_REMOUNT, fmt.Sprint("nr_inodes=", n)); err != nil {
			t.Fatal(err)
		}
	}
	inodes(1000)
	const dirs, files = 26, 500
	for d := range dirs {
		dir := mkdir(t, filepath.Join(src, fmt.Sprint("d", d)))
		for f := range files {
			write(t, filepath.Join(dir, fmt.Sprint("f", f)), "")
		}
	}
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.await("all problems are counted", func() bool {
		s := r.m.Status()
		n := int64(len(s.Problems)) + s.More
		return len(s.Problems) == 10_000 && n > dirs*files-1000 && n < dirs*files && s.Units[0].Phase == replicate.PhaseFull
	})

	// What is deleted, remembered or not, is no problem any more.
	const left = 5
	for d := range dirs - left {
		if err := os.RemoveAll(filepath.Join(src, fmt.Sprint("d", d))); err != nil {
			t.Fatal(err)
		}
	}
	r.within(30*time.Second, "what is deleted is no problem any more", func() bool {
		s := r.m.Status()
		return int64(len(s.Problems))+s.More <= left*files
	})
	inodes(100_000)
	r.awaitPhase(src, replicate.PhaseInSync)
	r.lists()
	r.equal(src, dst)
	if s := r.m.Status(); s.More != 0 || s.Units[0].Problems != 0 {
		t.Errorf("problems are left: %+v", s)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
