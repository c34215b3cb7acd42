package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestRemovedDirectoryHasNoName changes directories that were removed before anybody has looked at them, and are open: what
// the kernel calls them is no name. One that has such a name is replicated.
func TestRemovedDirectoryHasNoName(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			s := newScene(t, fs, "tmpfs", false)
			s.begin()
			s.alike()
			mkdir(t, s.in("real (deleted)/below"))
			for _, length := range []int{1, 250, 255} {
				for range 20 {
					path := s.in(strings.Repeat("n", length))
					fd, err := unix.Open(mkdir(t, path), unix.O_RDONLY|unix.O_DIRECTORY, 0)
					if err != nil {
						t.Fatal(err)
					}
					remove(t, path)
					if err := unix.Fchmod(fd, 0o700); err != nil {
						t.Fatal(err)
					}
					defer unix.Close(fd)
				}
				time.Sleep(20 * time.Millisecond)
			}
			s.alike()
			if log := s.log.Output.String(); strings.Contains(log, "not replicated") {
				t.Error(log)
			}
			s.end()
		})
	}
}

// TestLostWhileItMoves replaces a directory of the replica, and moves what is in it on the source before that is noticed:
// what was known when it was looked at is made anew, with all that belongs to it.
func TestLostWhileItMoves(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "xfs", false)
	mkdir(t, s.in("d"))
	for _, name := range []string{"1", "2", "3"} {
		if err := os.Symlink("text", s.in("d/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	s.begin()
	s.alike()
	s.quiet(10 * time.Second)
	rename(t, s.at("d"), s.at(".weir/theirs"))
	mkdir(t, s.at("d"))
	rename(t, s.in("d"), s.in("e"))
	for _, name := range []string{"1", "2", "3"} {
		rename(t, s.in("e/"+name), s.in("e/moved"+name))
	}
	s.alike()
	if log := s.log.Output.String(); strings.Contains(log, "not replicated") {
		t.Error(log)
	}
	remove(t, filepath.Join(s.dst, ".weir/theirs"))
	s.end()
}
