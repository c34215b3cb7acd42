package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// TestSourceIsReplacedAndPutBack has another directory stand where the source was, at once and after a while, and puts the
// source back.
func TestSourceIsReplacedAndPutBack(t *testing.T) {
	for name, gap := range map[string]time.Duration{"at once": 0, "after a while": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "ext4", "xfs", false)
			away, other := filepath.Join(s.from.Dir, "away"), mkdir(t, filepath.Join(s.from.Dir, "other"))
			write(t, s.in("file"), "1")
			s.begin()
			s.alike()
			rename(t, s.src, away)
			time.Sleep(gap)
			rename(t, other, s.src)
			write(t, filepath.Join(away, "later"), "2")
			write(t, s.in("strange"), "3")
			s.awaitPhase(s.src, replicate.PhaseHeld)
			remove(t, s.src)
			rename(t, away, s.src)
			s.awaitText(s.at("later"), "2")
			if !absent(s.at("strange")) {
				t.Error("what stood in its place was copied")
			}
			s.alike()
			s.end()
		})
	}
}

// TestMountedInABareMountPoint mounts a volume inside the mount point of one that is away.
func TestMountedInABareMountPoint(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	outer := voltest.New(t, "ext4", voltest.At(mkdir(t, s.in("outer"))))
	write(t, filepath.Join(outer.Dir, "file"), "1")
	s.begin()
	s.alike()
	outer.Unmount()
	s.awaitPhase(outer.Dir, replicate.PhaseSourceAbsent)
	inner := voltest.New(t, "tmpfs", voltest.At(mkdir(t, s.in("outer/inner"))))
	write(t, filepath.Join(inner.Dir, "file"), "2")
	s.await("why it waits", func() bool {
		u, known := s.find(inner.Dir, s.dst)
		return known && u.Phase == replicate.PhaseWaiting && strings.Contains(u.Reason, "inside the mount point of "+outer.Dir) && strings.Contains(u.Todo, "mount that first")
	})
	inner.Unmount()
	if err := os.Remove(inner.Dir); err != nil {
		t.Fatal(err)
	}
	outer.Mount()
	write(t, filepath.Join(outer.Dir, "file"), "3")
	s.awaitText(s.at("outer/file"), "3")
	s.end()
}
