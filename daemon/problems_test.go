package daemon

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// listed returns the paths of the problems, in order.
func (r *running) listed() (paths []string) {
	for _, p := range r.m.Status().Problems {
		paths = append(paths, p.Path)
	}
	slices.Sort(paths)
	return paths
}

func (r *running) lists(paths ...string) {
	r.t.Helper()
	slices.Sort(paths)
	r.await("problems are listed of "+strings.Join(paths, ", "), func() bool { return slices.Equal(r.listed(), paths) })
}

// unstorables are objects that an xfs or a btrfs holds and an ext4 of small blocks does not.
func unstorables(t testing.TB, dir string) {
	t.Helper()
	file := func(name string, size int64) string {
		path := filepath.Join(dir, name)
		write(t, path, name)
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mkdir(t, dir)
	file("large", 1<<50)
	mkdir(t, filepath.Join(dir, "attributed directory"))
	for _, path := range []string{file("attributed", 10), filepath.Join(dir, "attributed directory")} {
		if err := unix.Setxattr(path, "user.a", bytes.Repeat([]byte("a"), 10_000), 0); err != nil {
			t.Fatal(err)
		}
	}
	file("fine", 10)
}

func TestWhatCannotBeStoredIsListedUntilItIsGone(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "xfs").Dir, "s")), voltest.New(t, "ext4").Dir
	unstorables(t, filepath.Join(src, "a"))
	unstorables(t, filepath.Join(src, "b/c"))
	all := func(dir string) []string {
		return []string{dir + "/large", dir + "/attributed", dir + "/attributed directory"}
	}
	state := filepath.Join(t.TempDir(), "st")
	r := start(t, Options{Source: src, Targets: []string{dst}, State: state})
	r.lists(append(all("a"), all("b/c")...)...)
	r.awaitText(filepath.Join(dst, "b/c/fine"), "fine\x00\x00\x00\x00\x00\x00")
	unstorables(t, filepath.Join(src, "live"))
	r.lists(slices.Concat(all("a"), all("b/c"), all("live"))...)

	// It has another path, is deleted, becomes storable, is deleted with all around it, or leaves the tree.
	rename(t, filepath.Join(src, "b"), filepath.Join(src, "moved"))
	r.lists(slices.Concat(all("a"), all("moved/c"), all("live"))...)
	err := errors.Join(
		os.Remove(filepath.Join(src, "live/large")), os.RemoveAll(filepath.Join(src, "live/attributed directory")),
		unix.Removexattr(filepath.Join(src, "live/attributed"), "user.a"), os.Truncate(filepath.Join(src, "a/large"), 5),
		unix.Removexattr(filepath.Join(src, "a/attributed directory"), "user.a"),
	)
	if err != nil {
		t.Fatal(err)
	}
	r.lists(slices.Concat([]string{"a/attributed"}, all("moved/c"))...)
	if err := os.RemoveAll(filepath.Join(src, "moved")); err != nil {
		t.Fatal(err)
	}
	r.lists("a/attributed")

	// Each was told once, by its name.
	log := r.log.Output.String()
	for _, path := range all("live") {
		told := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, "path="+path+" ") || strings.Contains(line, `path="`+path+`" `) {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%s was told %d times\n%s", path, told, r.log)
		}
	}

	// A mirror that starts again tells what is left of them.
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, Options{Source: src, Targets: []string{dst}, State: state})
	r.lists("a/attributed")
	if err := os.Remove(filepath.Join(src, "a/attributed")); err != nil {
		t.Fatal(err)
	}
	r.lists()
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestImmutableReplicaIsListed has somebody protect a file of the replica.
func TestImmutableReplicaIsListed(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), voltest.New(t, "ext4").Dir
	write(t, filepath.Join(src, "f"), "1")
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.equal(src, dst)
	attr := func(how string) {
		if out, err := exec.Command("chattr", how, filepath.Join(dst, "f")).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	attr("+i")
	defer attr("-i")
	write(t, filepath.Join(src, "f"), "2")
	write(t, filepath.Join(src, "g"), "3")
	r.lists("f")
	r.awaitText(filepath.Join(dst, "g"), "3")
	attr("-i")
	r.awaitText(filepath.Join(dst, "f"), "2")
	r.lists()
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
