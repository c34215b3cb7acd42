package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// told counts how often the log says that a path is not replicated.
func (r *running) told(path string) (n int) {
	for line := range strings.Lines(r.log.Output.String()) {
		if strings.Contains(line, `msg="not replicated"`) && strings.Contains(line, " path="+path+" ") {
			n++
		}
	}
	return n
}

// TestUnreadableDirectoryHeals has directories that cannot be read, until one can. An overlay reads what
// is below it with the rights of whoever has mounted it.
func TestUnreadableDirectoryHeals(t *testing.T) {
	voltest.RequireRoot(t)
	voltest.RequireTool(t, "setpriv", "util-linux")
	dir, dst := voltest.New(t, "ext4").Dir, voltest.New(t, "xfs").Dir
	lower, src := mkdir(t, filepath.Join(dir, "lower")), mkdir(t, filepath.Join(dir, "s"))
	for _, path := range []string{"opened", "around/closed"} {
		path = filepath.Join(lower, path)
		write(t, filepath.Join(mkdir(t, filepath.Join(path, "below")), "f"), path)
		if err := errors.Join(os.Chown(path, 1234, 1234), os.Chmod(path, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	data := "lowerdir=" + lower + ":" + mkdir(t, filepath.Join(dir, "empty"))
	if err := runTool("setpriv", "--bounding-set=-dac_override,-dac_read_search", "mount", "-t", "overlay", "overlay", "-o", data, src); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(src, unix.MNT_DETACH) }()
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st"), ScanInterval: time.Hour})
	r.lists("opened", "around/closed")
	r.awaitPhase(src, replicate.PhaseInSync)
	if err := os.Chmod(filepath.Join(lower, "opened"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.lists("around/closed")
	r.await("the directory is copied", func() bool { return !absent(filepath.Join(dst, "opened/below/f")) })
	for _, path := range []string{"opened", "around/closed"} {
		if n := r.told(path); n != 1 {
			t.Errorf("%s was told %d times\n%s", path, n, r.log)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestMetadataOfADirectoryHeals has somebody protect directories of the replica, the topmost one too.
func TestMetadataOfADirectoryHeals(t *testing.T) {
	voltest.RequireRoot(t)
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "s")), mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "r"))
	mkdir(t, filepath.Join(src, "d"))
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.equal(src, dst)
	attr := func(how string) {
		if out, err := exec.Command("chattr", how, dst, filepath.Join(dst, "d")).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	attr("+i")
	defer attr("-i")
	for _, dir := range []string{src, filepath.Join(src, "d")} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	r.lists(".", "d")
	r.awaitPhase(src, replicate.PhaseInSync)
	still(t, "the problems stay listed", func() bool { return len(r.listed()) == 2 })
	time.Sleep(time.Second)
	for _, path := range []string{".", "d"} {
		if n := r.told(path); n != 1 {
			t.Errorf("%s was told %d times\n%s", path, n, r.log)
		}
	}
	attr("-i")
	r.lists()
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestProblemsLeaveWithTheirDirectory moves a directory with a problem out of the source, and back.
func TestProblemsLeaveWithTheirDirectory(t *testing.T) {
	voltest.RequireRoot(t)
	volume := voltest.New(t, "xfs").Dir
	src, dst := mkdir(t, filepath.Join(volume, "s")), voltest.New(t, "ext4").Dir
	unstorables(t, filepath.Join(src, "a/b"))
	all := []string{"a/b/large", "a/b/attributed", "a/b/attributed directory"}
	r := start(t, Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")})
	r.lists(all...)
	for range 2 {
		rename(t, filepath.Join(src, "a"), filepath.Join(volume, "outside"))
		r.lists()
		rename(t, filepath.Join(volume, "outside"), filepath.Join(src, "a"))
		r.lists(all...)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
