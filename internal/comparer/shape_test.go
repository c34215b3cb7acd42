package comparer

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// deepen makes levels directories in each other below root, with a file of content at the end.
func deepen(t *testing.T, root string, levels int, content string) {
	t.Helper()
	dir, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	name := strings.Repeat("d", 200)
	for range levels {
		must(t, unix.Mkdirat(dir, name, 0o755))
		next, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err, unix.Close(dir))
		dir = next
	}
	file, err := unix.Openat(dir, "f", unix.O_WRONLY|unix.O_CREAT, 0o644)
	must(t, err)
	_, err = unix.Write(file, []byte(content))
	must(t, err, unix.Close(file), unix.Close(dir))
}

// exceptTimes leaves out what cannot be made equal without a path.
func exceptTimes(found []Difference) (rest []Difference) {
	for _, d := range found {
		if d.What != "mtime" {
			rest = append(rest, d)
		}
	}
	return rest
}

func TestNoPathIsTooLong(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	deepen(t, a, 2000, "one")
	deepen(t, b, 2000, "two")
	found, err := Compare(a, b, Options{})
	must(t, err)
	if rest := exceptTimes(found); len(rest) != 1 || rest[0].What != "content" || len(rest[0].Path) < 2000*200 {
		t.Errorf("found %d differences", len(rest))
	}
}

func TestMountsAreFollowedAndLeaveNoTrace(t *testing.T) {
	a, b := voltest.New(t, "xfs"), voltest.New(t, "ext4")
	inner := voltest.New(t, "ext4", voltest.At(a.Dir+"/mnt"))
	must(t, os.WriteFile(inner.Dir+"/f", []byte("x"), 0o644), os.Mkdir(b.Dir+"/mnt", 0o755))
	found, err := Compare(a.Dir, b.Dir, Options{})
	must(t, err)
	if rest := exceptTimes(found); len(rest) != 1 || rest[0].Path != "mnt/f" || rest[0].What != "name" {
		t.Errorf("found %v, want the file on the inner volume and no lost+found", rest)
	}
}

func TestSkipLeavesOutWhatIsBelow(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(a+"/out/in", 0o755), os.MkdirAll(b+"/out", 0o755), copyTimes(a, b))
	Equal(t, a, b, Options{Skip: func(path string) bool { return path == "out" }})
}
