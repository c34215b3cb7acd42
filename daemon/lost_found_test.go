package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// TestLostFoundIsLeftOutWhereFsckKeepsIt has a lost+found at the top of SOURCE, of a bind mount and of a tmpfs, which are
// somebody's, and the one of an ext4 that is mounted below SOURCE and shown by two mounts.
func TestLostFoundIsLeftOutWhereFsckKeepsIt(t *testing.T) {
	disk := voltest.New(t, "ext4").Dir
	src, bound := mkdir(t, filepath.Join(disk, "src")), mkdir(t, filepath.Join(disk, "bound"))
	dst := filepath.Join(voltest.New(t, "ext4").Dir, "dst")
	voltest.Bind(t, bound, mkdir(t, filepath.Join(src, "bind")))
	voltest.New(t, "tmpfs", voltest.At(filepath.Join(src, "tmpfs")))
	inner := voltest.New(t, "ext4", voltest.At(filepath.Join(src, "inner"))).Dir
	voltest.Bind(t, inner, mkdir(t, filepath.Join(src, "again")))
	for _, dir := range []string{src, bound, filepath.Join(src, "tmpfs"), inner} {
		write(t, filepath.Join(mkdir(t, filepath.Join(dir, "lost+found")), "user"), "data")
	}
	o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")}
	agree(t, o)
	comparer.Equal(t, src, dst, comparer.Options{})
	for _, rel := range []string{"", "bind", "tmpfs"} {
		if got := text(t, filepath.Join(dst, rel, "lost+found/user")); got != "data" {
			t.Errorf("%q was copied from %q", got, rel)
		}
	}
	for _, rel := range []string{"inner", "again"} {
		if _, err := os.Lstat(filepath.Join(dst, rel, "lost+found")); !os.IsNotExist(err) {
			t.Errorf("what fsck keeps in %q was copied: %v", rel, err)
		}
	}
	r := start(t, o)
	write(t, filepath.Join(src, "bind/lost+found/user"), "other data")
	r.awaitText(filepath.Join(dst, "bind/lost+found/user"), "other data")
	remove(t, filepath.Join(src, "bind/lost+found/user"))
	remove(t, filepath.Join(dst, "lost+found/user")) // By somebody else, while weir does not look.
	write(t, filepath.Join(src, "lost+found/user"), "third")
	r.equal(src, dst)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestLostFoundOfTheTargetStays has a target that is the root of an ext4, where fsck keeps a directory of a name that SOURCE has.
func TestLostFoundOfTheTargetStays(t *testing.T) {
	src, dst := mkdir(t, filepath.Join(voltest.New(t, "ext4").Dir, "src")), voltest.New(t, "ext4").Dir
	write(t, filepath.Join(mkdir(t, filepath.Join(src, "lost+found")), "user"), "data")
	write(t, filepath.Join(src, "f"), "1")
	o := Options{Source: src, Targets: []string{dst}, State: filepath.Join(t.TempDir(), "st")}
	dry, _ := foretell(t, o)
	if why := dry[replicate.ActCannot]["lost+found"].Reason; !strings.Contains(why, "fsck(8) keeps") {
		t.Errorf("the dry run says %q", why)
	}
	status, err := once(t, o)
	said := slices.ContainsFunc(status.Problems, func(p replicate.Problem) bool {
		return p.Path == "lost+found" && strings.Contains(p.Reason, "fsck(8) keeps")
	})
	if err == nil || !said || text(t, filepath.Join(dst, "f")) != "1" {
		t.Errorf("error %v, problems %+v", err, status.Problems)
	}
	if list, err := os.ReadDir(filepath.Join(dst, "lost+found")); err != nil || len(list) > 0 {
		t.Errorf("the target's own lost+found holds %v, error %v", list, err)
	}
}
