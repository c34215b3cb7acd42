package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// kinds are what may stand under a name.
func kinds() map[string]func(path string) error {
	return map[string]func(path string) error{
		"file":  func(path string) error { return os.WriteFile(path, []byte("text"), 0o644) },
		"empty": func(path string) error { return os.Mkdir(path, 0o750) },
		"tree": func(path string) error {
			if err := os.MkdirAll(filepath.Join(path, "a/b"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(path, "a/b/f"), []byte("below"), 0o600)
		},
		"link":    func(path string) error { return os.Symlink("one", path) },
		"another": func(path string) error { return os.Symlink("two", path) },
		"pipe":    func(path string) error { return unix.Mkfifo(path, 0o600) },
		"null":    func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
		"zero":    func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
	}
}

// TestNameChangesItsType puts each kind of object in the place of each other one: on a volume that tells its inodes
// apart, and on such as do not, followed and while weir is away.
func TestNameChangesItsType(t *testing.T) {
	voltest.RequireRoot(t)
	sources := map[string]func(t *testing.T, dir string) string{
		"ext4": func(t *testing.T, dir string) string { return mkdir(t, filepath.Join(dir, "s")) },
		"overlay": func(t *testing.T, dir string) string {
			in := func(name string) string { return filepath.Join(dir, name) }
			voltest.Overlay(t, false, in("l"), in("u"), in("w"), mkdir(t, in("s")))
			return in("s")
		},
		"bindfs": func(t *testing.T, dir string) string {
			voltest.Bindfs(t, mkdir(t, filepath.Join(dir, "real")), mkdir(t, filepath.Join(dir, "s")))
			return filepath.Join(dir, "s")
		},
	}
	for fs, source := range sources {
		t.Run(fs, func(t *testing.T) {
			src, dst := source(t, voltest.New(t, "ext4").Dir), voltest.New(t, "xfs").Dir
			o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), ScanInterval: 200 * time.Millisecond}
			all := kinds()
			each := func(fn func(path, from, to string) error) {
				t.Helper()
				for from := range all {
					for to := range all {
						if err := fn(filepath.Join(src, fmt.Sprint(from, " to ", to)), from, to); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			each(func(path, from, _ string) error { return all[from](path) })
			for n := range 40 { // By what stays weir knows the volume again.
				write(t, filepath.Join(src, fmt.Sprint("stays", n)), "1")
			}
			r := start(t, o)
			r.spotless(src, dst)
			each(func(path, _, to string) error {
				if err := os.RemoveAll(path); err != nil {
					return err
				}
				return all[to](path)
			})
			r.spotless(src, dst)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			each(func(path, from, _ string) error {
				if err := os.RemoveAll(path); err != nil {
					return err
				}
				return all[from](path)
			})
			r = start(t, o)
			r.spotless(src, dst)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFileInPlaceOfAMountPoint has a file stand where a volume was mounted that is away.
func TestFileInPlaceOfAMountPoint(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "xfs").Dir
		at := mkdir(t, filepath.Join(src, "d/m"))
		v := voltest.New(t, "ext4", voltest.At(at))
		write(t, filepath.Join(at, "precious"), "1")
		o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), Fallback: fallback}
		r := start(t, o)
		r.equal(src, dst)
		v.Unmount()
		r.awaitPhase(at, replicate.PhaseSourceAbsent)

		// In the place of the mount point, and of the directory around it.
		for _, path := range []string{"d/m", "d"} {
			if err := os.RemoveAll(filepath.Join(src, path)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(src, path), "in its place")
			r.lists(path)
			if why := r.m.Status().Problems[0].Reason; !strings.Contains(why, "volume that is not mounted now") || !strings.Contains(why, "mount that again") {
				t.Errorf("%s is not replicated since %s", path, why)
			}
			r.awaitText(filepath.Join(dst, "d/m/precious"), "1")
			r.awaitPhase(src, replicate.PhaseInSync)
			remove(t, filepath.Join(src, path))
			mkdir(t, at)
			r.lists()
		}
		v.Mount()
		r.awaitPhase(at, replicate.PhaseInSync)
		r.spotless(src, dst)

		// Whoever does not want what the volume has left deletes it.
		v.Unmount()
		r.awaitPhase(at, replicate.PhaseSourceAbsent)
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		write(t, at, "for good")
		r.lists("d/m")
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dst, "d/m")); err != nil {
			t.Fatal(err)
		}
		r = start(t, o)
		r.awaitText(filepath.Join(dst, "d/m"), "for good")
		r.lists()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}
