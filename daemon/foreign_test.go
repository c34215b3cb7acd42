package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
)

// TestForeignObjectInTheWay puts objects of somebody else where the replica gets names, and where it has files, and
// watches the names: they are never missing, and what stood there is found aside.
func TestForeignObjectInTheWay(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			s := newScene(t, "ext4", fs, false)
			write(t, s.in("elsewhere"), "moved")
			write(t, s.in("changed"), "old")
			write(t, s.in("linked"), "old")
			link(t, s.in("linked"), s.in("linked too"))
			s.begin()
			s.alike()
			names := []string{"new", "directory", "symlink", "moved", "changed", "linked", "linked too", "second name"}
			for _, name := range names {
				write(t, s.at(name+".foreign"), "foreign "+name)
				rename(t, s.at(name+".foreign"), s.at(name))
			}
			missing := countMissing(s, names)

			write(t, s.in("new"), "new")
			write(t, filepath.Join(mkdir(t, s.in("directory")), "file"), "in a directory")
			if err := os.Symlink("text", s.in("symlink")); err != nil {
				t.Fatal(err)
			}
			rename(t, s.in("elsewhere"), s.in("moved"))
			write(t, s.in("changed"), "new")
			write(t, s.in("linked"), "new")
			link(t, s.in("changed"), s.in("second name"))
			s.alike()
			for name, n := range missing() {
				t.Errorf("%s was missing %d times", name, n)
			}
			for _, name := range names {
				found, err := filepath.Glob(s.at(".weir/set-aside/*/" + name))
				if err != nil || len(found) != 1 || text(t, found[0]) != "foreign "+name {
					t.Errorf("%s was set aside as %q: %v", name, found, err)
				}
			}
			s.end()
		})
	}
}

// TestForeignObjectWithoutExchange sets aside where the file system cannot exchange names.
func TestForeignObjectWithoutExchange(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "exfat", false)
	s.begin()
	s.quiet(10 * time.Second)
	write(t, s.at("new.foreign"), "foreign")
	rename(t, s.at("new.foreign"), s.at("new"))
	write(t, s.in("new"), "new")
	s.awaitText(s.at("new"), "new")
	found, err := filepath.Glob(s.at(".weir/set-aside/*/new"))
	if err != nil || len(found) != 1 || text(t, found[0]) != "foreign" {
		t.Errorf("it was set aside as %q: %v\n%s", found, err, s.log)
	}
	s.end()
}

// TestSetAsideTwice has somebody else take a name again, and one below it, within one run.
func TestSetAsideTwice(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "ext4", false)
	s.begin()
	s.quiet(10 * time.Second)
	for _, n := range []string{"1", "2"} {
		write(t, s.at("foreign"), "foreign "+n)
		rename(t, s.at("foreign"), s.at("name"))
		if err := os.MkdirAll(s.in("name"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, s.in("name/file"), n)
		s.awaitText(s.at("name/file"), n)
		remove(t, s.in("name"))
		s.await("the name goes", func() bool { _, err := os.Lstat(s.at("name")); return os.IsNotExist(err) })
	}
	mkdir(t, s.in("name"))
	s.await("the name comes", func() bool { _, err := os.Lstat(s.at("name")); return err == nil })
	write(t, s.at("name/file"), "foreign 3")
	write(t, s.in("name/file"), "3")
	s.awaitText(s.at("name/file"), "3")
	var ends []string
	for i, a := range s.m.Status().Aside {
		if got := text(t, s.at(a.Now)); got != fmt.Sprintf("foreign %d", i+1) || a.Target != s.dst {
			t.Errorf("%+v is %q", a, got)
		}
		ends = append(ends, a.Path+" "+strings.Join(strings.Split(a.Now, "/")[3:], "/"))
	}
	if want := []string{"name name", "name name~2", "name/file name~3/file"}; !slices.Equal(ends, want) {
		t.Errorf("set aside %q\n%s", ends, s.log)
	}
	s.end()
}

// countMissing counts how often each name is not there, until the function that it returns is called.
func countMissing(s *scene, names []string) func() map[string]int {
	var ends atomic.Bool
	done := make(chan map[string]int)
	go func() {
		missing := make(map[string]int)
		for !ends.Load() {
			for _, name := range names {
				if _, err := os.Lstat(s.at(name)); err != nil {
					missing[name]++
				}
			}
		}
		done <- missing
	}()
	time.Sleep(10 * time.Millisecond)
	return func() map[string]int {
		ends.Store(true)
		return <-done
	}
}
