package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// linked is a directory with a file of three names, and a second directory outside of the source.
type linked struct {
	t            *testing.T
	dir, outside string
}

func newLinked(t *testing.T, dir, outside string) linked {
	l := linked{t, mkdir(t, dir), mkdir(t, outside)}
	write(t, l.path("a"), "one")
	mkdir(t, l.path("d"))
	for _, name := range []string{"b", "d/l"} {
		l.must(os.Link(l.path("a"), l.path(name)))
	}
	return l
}

func (l linked) path(name string) string { return filepath.Join(l.dir, name) }

func (l linked) must(errs ...error) {
	l.t.Helper()
	for _, err := range errs {
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

func extend(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// departures change a file through a name that leads to it no more a moment later.
var departures = map[string]func(l linked){
	"written, unlinked":   func(l linked) { write(l.t, l.path("b"), "other"); l.must(os.Remove(l.path("b"))) },
	"chmod, unlinked":     func(l linked) { l.must(os.Chmod(l.path("b"), 0o600), os.Remove(l.path("b"))) },
	"appended, moved out": func(l linked) { extend(l.t, l.path("b"), "+"); rename(l.t, l.path("b"), filepath.Join(l.outside, "b")) },
	"appended, replaced": func(l linked) {
		extend(l.t, l.path("b"), "+")
		write(l.t, l.path("c"), "c")
		rename(l.t, l.path("c"), l.path("b"))
	},
	"appended, moved": func(l linked) { extend(l.t, l.path("b"), "+"); rename(l.t, l.path("b"), l.path("d/z")) },
	"appended, exchanged, unlinked": func(l linked) {
		extend(l.t, l.path("b"), "+")
		write(l.t, l.path("q"), "q")
		l.must(unix.Renameat2(unix.AT_FDCWD, l.path("b"), unix.AT_FDCWD, l.path("q"), unix.RENAME_EXCHANGE), os.Remove(l.path("q")))
	},
	"chown, unlinked with its directory": func(l linked) {
		l.must(os.Chown(l.path("d/l"), 5, 6), os.Remove(l.path("d/l")), os.Remove(l.path("d")))
	},
	"chmod, moved out with its directory": func(l linked) {
		l.must(os.Chmod(l.path("d/l"), 0o611))
		rename(l.t, l.path("d"), filepath.Join(l.outside, "d"))
	},
	"new link, written, unlinked": func(l linked) {
		write(l.t, l.path("n"), "1")
		l.must(os.Link(l.path("n"), l.path("n2")), os.Chmod(l.path("n2"), 0o600))
		write(l.t, l.path("n2"), "22")
		l.must(os.Remove(l.path("n2")))
	},
}

// TestChangeThroughANameThatGoes changes files of several names through one of them, and takes that away before it can
// have been looked at.
func TestChangeThroughANameThatGoes(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			s := newScene(t, fs, "ext4", false)
			files := make(map[string]linked)
			for name := range departures {
				files[name] = newLinked(t, s.in(name), filepath.Join(s.from.Dir, "outside", name))
			}
			s.begin()
			s.alike()
			for name, depart := range departures {
				depart(files[name])
			}
			s.alike()
			s.end()
		})
	}
}

// TestChangeThroughAnOpenFileWithoutItsName changes files of two names through descriptors that were opened by one which
// is gone since a while.
func TestChangeThroughAnOpenFileWithoutItsName(t *testing.T) {
	changes := map[string]struct {
		flags  int
		change func(fd int) error
	}{
		"write":  {unix.O_RDWR, func(fd int) error { _, err := unix.Write(fd, []byte("two")); return err }},
		"chmod":  {unix.O_RDONLY, func(fd int) error { return unix.Fchmod(fd, 0o611) }},
		"xattr":  {unix.O_RDONLY, func(fd int) error { return unix.Fsetxattr(fd, "trusted.q", []byte("1"), 0) }},
		"length": {unix.O_RDWR, func(fd int) error { return unix.Ftruncate(fd, 1) }},
	}
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			s := newScene(t, fs, "ext4", false)
			open := make(map[string]int)
			for name, c := range changes {
				l := newLinked(t, s.in(name), s.in("outside"))
				fd, err := unix.Open(l.path("b"), c.flags|unix.O_CLOEXEC, 0)
				l.must(err)
				defer unix.Close(fd)
				open[name] = fd
			}
			s.begin()
			s.alike()
			for name := range changes {
				remove(t, s.in(name+"/b"))
			}
			s.alike()
			time.Sleep(20 * time.Millisecond) // What the unlinks have reported is over.
			for name, c := range changes {
				if err := c.change(open[name]); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			s.alike()
			s.end()
		})
	}
}

// TestChangeThroughALinkOutside changes files by hard links that are no part of the source: beside it, on the volume that
// the target is on as well, in an excluded directory, and below the same directory once more.
func TestChangeThroughALinkOutside(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			v := voltest.New(t, fs)
			src, dst := mkdir(t, filepath.Join(v.Dir, "s")), mkdir(t, filepath.Join(v.Dir, "r"))
			other, outside := mkdir(t, filepath.Join(v.Dir, "other")), mkdir(t, filepath.Join(v.Dir, "outside"))
			mkdir(t, filepath.Join(src, "excluded"))
			mkdir(t, filepath.Join(src, "bound"))
			voltest.Bind(t, other, filepath.Join(src, "bound"))
			links := map[string]string{
				"f1": filepath.Join(outside, "f1"), "f2": filepath.Join(src, "excluded", "f2"), "f3": filepath.Join(other, "f3"),
			}
			for name, link := range links {
				write(t, filepath.Join(src, name), "old")
				if err := os.Link(filepath.Join(src, name), link); err != nil {
					t.Fatal(err)
				}
			}
			rules, err := policy.ParseRules([]string{"/excluded"})
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Rules: rules})
			for n, content := range []string{"new", "newer", "and newer"} {
				for name := range links {
					r.awaitText(filepath.Join(dst, name), text(t, filepath.Join(src, name)))
				}
				r.awaitPhase(src, "in sync")
				for name, link := range links {
					write(t, link, content)
					r.awaitText(filepath.Join(dst, name), content)
					mode := 0o600 + os.FileMode(n)
					if err := os.Chmod(link, mode); err != nil {
						t.Fatal(err)
					}
					r.await("mode of "+name, func() bool {
						info, err := os.Stat(filepath.Join(dst, name))
						return err == nil && info.Mode() == mode
					})
				}
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestEachNameIsListed has an attribute that the target refuses, on a file with several names: each of them is listed.
func TestEachNameIsListed(t *testing.T) {
	s := newScene(t, "xfs", "ext4", false)
	write(t, s.in("a"), "1")
	ok(t, unix.Setxattr(s.in("a"), "user.large", make([]byte, 30_000), 0))
	mkdir(t, s.in("d"))
	ok(t, os.Link(s.in("a"), s.in("d/b")))
	s.begin()
	lists := func(want ...string) func() bool {
		return func() bool {
			var paths []string
			for _, p := range s.m.Status().Problems {
				paths = append(paths, p.Path)
			}
			return slices.Equal(paths, want)
		}
	}
	s.await("both names are listed", lists("a", "d/b"))
	ok(t, os.Link(s.in("a"), s.in("c")))
	s.await("the name that has come is listed", lists("a", "c", "d/b"))
	s.end()
}
