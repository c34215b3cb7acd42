package comparer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// plantTree makes a tree with one of everything that is compared.
func plantTree(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t,
		os.MkdirAll(at("dir/sub"), 0o755),
		os.WriteFile(at("dir/file"), []byte("content"), 0o640),
		os.WriteFile(at("dir/other"), []byte("other content"), 0o644),
		os.WriteFile(at("dir/sub/odd\n\xff name"), nil, 0o600),
		os.WriteFile(at("empty"), nil, 0o644),
		os.Symlink("dir/file", at("link")),
		os.Link(at("dir/file"), at("hard")),
		os.Link(at("dir/file"), at("dir/sub/hard")),
		os.Link(at("dir/other"), at("other")),
		unix.Mkfifo(at("fifo"), 0o644),
		unix.Mknod(at("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))),
		unix.Mknod(at("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 200))),
		unix.Setxattr(at("dir/other"), "user.note", []byte("here"), 0),
		unix.Setxattr(at("dir"), "user.dir", []byte{0, 1}, 0),
		unix.Lsetxattr(at("link"), "trusted.link", []byte("x"), 0),
		os.WriteFile(at("sparse"), bytes.Repeat([]byte("d"), 4096), 0o644),
		os.Truncate(at("sparse"), 4<<20),
		os.WriteFile(at("long"), bytes.Repeat([]byte("long"), 300_000), 0o644),
		os.Chown(at("dir/sub"), 12, 34),
		os.Chmod(at("long"), 0o755|os.ModeSetuid|os.ModeSticky),
	)
	runTool(t, "setfacl", "-m", "u:5:r,d:u:6:rwx", at("dir/sub"))
	for i, name := range []string{"dir/sub", "dir", "dir/file", "long"} {
		when := time.Unix(1_700_000_000+int64(i), 123_456_789+int64(i))
		must(t, os.Chtimes(at(name), when, when))
	}
}

func runTool(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	runTool(t, "cp", "-a", "--sparse=always", from+"/.", to)
}

// rsyncFinds lets rsync judge: it prints a line for whatever it would change.
func rsyncFinds(t *testing.T, a, b string) string {
	t.Helper()
	return runTool(t, "rsync", "-niaHAXc", "--delete", "--modify-window=-1",
		"--filter=-x trusted.SGI_ACL_*", "--exclude=/.weir", "--exclude=/lost+found", a+"/", b+"/")
}

func TestCopyIsEqual(t *testing.T) {
	for _, pair := range [][2]string{{"ext4", "xfs"}, {"xfs", "btrfs"}, {"btrfs", "tmpfs"}, {"tmpfs", "ext4"}} {
		t.Run(pair[0]+" to "+pair[1], func(t *testing.T) {
			a, b := voltest.New(t, pair[0]), voltest.New(t, pair[1])
			plantTree(t, a.Dir)
			must(t, os.Chmod(b.Dir, 0o755), os.Chmod(a.Dir, 0o755))
			copyTree(t, a.Dir, b.Dir)
			if pair[0] == "ext4" {
				must(t, os.Remove(b.Dir+"/lost+found")) // cp brings along what only fsck of ext has a use for.
			}
			must(t, os.MkdirAll(b.Dir+"/.weir/tmp", 0o700), copyTimes(a.Dir, b.Dir))
			if found := rsyncFinds(t, a.Dir, b.Dir); found != "" {
				t.Errorf("rsync finds:\n%s", found)
			}
			Equal(t, a.Dir, b.Dir, Options{})
			Await(t, b.Dir, a.Dir, 0, Options{})
		})
	}
}

// copyTimes gives b the times of a.
func copyTimes(a, b string) error {
	info, err := os.Stat(a)
	if err != nil {
		return err
	}
	return os.Chtimes(b, info.ModTime(), info.ModTime())
}

// plant is one difference, made in a tree that was equal.
type plant struct {
	what    string // as in Difference.What
	path    string // where it is to be found
	do      func(root string) error
	tooFine bool // rsync does not look at it
}

func plants() []plant {
	when := func(path string, nsec int64) func(string) error {
		return func(root string) error {
			times := []unix.Timespec{{Sec: 1_700_000_000}, {Sec: 1_700_000_000, Nsec: nsec}}
			return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(root, path), times, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	at := func(fn func(path string) error, path string) func(string) error {
		return func(root string) error { return fn(filepath.Join(root, path)) }
	}
	return []plant{
		{"name", "dir/new", at(func(p string) error { return os.WriteFile(p, nil, 0o644) }, "dir/new"), false},
		{"name", "dir/sub", at(os.RemoveAll, "dir/sub"), false},
		{"name", "dir/.weir", at(func(p string) error { return os.Mkdir(p, 0o700) }, "dir/.weir"), false},
		{"name", "dir/lost+found", at(func(p string) error { return os.Mkdir(p, 0o700) }, "dir/lost+found"), false},
		{"name", "dir/sub/odd\n\xff name", at(os.Remove, "dir/sub/odd\n\xff name"), false},
		{"type", "empty", replace("empty", func(p string) error { return os.Mkdir(p, 0o755) }), false},
		{"type", "fifo", replace("fifo", func(p string) error { return os.WriteFile(p, nil, 0o644) }), false},
		{"content", "long", at(func(p string) error { return writeAt(p, 600_001, "X") }, "long"), false},
		{"size", "empty", at(func(p string) error { return os.Truncate(p, 1) }, "empty"), false},
		{"owner", "empty", at(func(p string) error { return os.Lchown(p, 1, 0) }, "empty"), false},
		{"owner", "dir", at(func(p string) error { return os.Lchown(p, 0, 1) }, "dir"), false},
		{"owner", "link", at(func(p string) error { return os.Lchown(p, 3, 3) }, "link"), false},
		{"owner", "fifo", at(func(p string) error { return os.Lchown(p, 3, 3) }, "fifo"), false},
		{"mode", "empty", at(func(p string) error { return os.Chmod(p, 0o645) }, "empty"), false},
		{"mode", "long", at(func(p string) error { return os.Chmod(p, 0o755|os.ModeSticky) }, "long"), false},
		{"mode", ".", at(func(p string) error { return os.Chmod(p, 0o711) }, "."), false},
		{"mtime", "long", when("long", 1), false},
		{"mtime", "dir", when("dir", 2), false},
		{"mtime", "link", when("link", 3), false},
		{"mtime", ".", when(".", 4), false},
		{"target", "link", replace("link", func(p string) error { return os.Symlink("dir/elif", p) }), false},
		{"rdev", "null", replace("null", func(p string) error {
			return unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))
		}), false},
		{"xattr", "dir/other", setXattr("dir/other", "user.note", "gone"), false},
		{"xattr", "dir/other", setXattr("dir/other", "user.more", ""), false},
		{"xattr", "long", setXattr("long", "security.capability", "\x00\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00"+
			"\x00\x00\x00\x00\x00\x00\x00\x00"), false},
		{"xattr", "dir", at(func(p string) error { return unix.Removexattr(p, "user.dir") }, "dir"), false},
		{"xattr", "link", setXattr("link", "trusted.link", "y"), false},
		{"xattr", "dir/sub", acl("dir/sub", "u:5:rw"), false},
		{"xattr", "dir/sub", acl("dir/sub", "d:u:7:r"), false},
		{"links", "hard", split("hard"), false},
		{"links", "dir/sub/hard", split("dir/file"), false},
		{"links", "long", func(root string) error {
			return relink(filepath.Join(root, "other"), filepath.Join(root, "long"))
		}, false},
		{"holes", "sparse", fill("sparse"), true},
		{"holes", "long", at(func(p string) error {
			return fallocate(p, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20)
		}, "long"), false},
	}
}

func TestPlantedDifferencesAreFound(t *testing.T) {
	v := voltest.New(t, "ext4", voltest.Size(256<<20))
	a, b := v.Dir+"/a", v.Dir+"/b"
	must(t, os.Mkdir(a, 0o755))
	plantTree(t, a)
	for _, p := range plants() {
		t.Run(p.what+" "+p.path, func(t *testing.T) {
			must(t, os.RemoveAll(b), os.Mkdir(b, 0o755))
			copyTree(t, a, b)
			Equal(t, a, b, Options{})
			must(t, p.do(b))
			found, err := Compare(a, b, Options{})
			must(t, err)
			is := func(d Difference) bool { return d.What == p.what && d.Path == p.path }
			if !slices.ContainsFunc(found, is) {
				t.Errorf("found only %v", found)
			}
			back, err := Compare(b, a, Options{})
			must(t, err)
			if !slices.ContainsFunc(back, is) {
				t.Errorf("the other way round found only %v", back)
			}
			if seen := rsyncFinds(t, a, b); (seen == "") != p.tooFine {
				t.Errorf("rsync finds %q", seen)
			}
		})
	}
}

// keepingTimes carries out fn on a path and gives it and its directory their times again, so that the
// planted difference is the only one.
func keepingTimes(path string, fn func() error) error {
	dir := filepath.Dir(path)
	var before [2]unix.Stat_t
	if err := unix.Lstat(path, &before[0]); err != nil {
		return err
	}
	if err := unix.Stat(dir, &before[1]); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	for i, p := range []string{path, dir} {
		times := []unix.Timespec{before[i].Atim, before[i].Mtim}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, p, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	return nil
}

func writeAt(path string, at int64, text string) error {
	return keepingTimes(path, func() error {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteAt([]byte(text), at)
		return err
	})
}

func replace(name string, with func(path string) error) func(root string) error {
	return func(root string) error {
		path := filepath.Join(root, name)
		return keepingTimes(path, func() error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return with(path)
		})
	}
}

func setXattr(name, attribute, value string) func(root string) error {
	return func(root string) error {
		return unix.Lsetxattr(filepath.Join(root, name), attribute, []byte(value), 0)
	}
}

func acl(name, entry string) func(root string) error {
	return func(root string) error {
		return exec.Command("setfacl", "-m", entry, filepath.Join(root, name)).Run()
	}
}

// split makes a name of a hard-linked file an equal file of its own.
func split(name string) func(root string) error {
	return func(root string) error {
		path := filepath.Join(root, name)
		return keepingTimes(path, func() error {
			if err := exec.Command("cp", "-a", path, path+".copy").Run(); err != nil {
				return err
			}
			return os.Rename(path+".copy", path)
		})
	}
}

func relink(from, to string) error {
	if err := os.Remove(to); err != nil {
		return err
	}
	return os.Link(from, to)
}

func fallocate(path string, mode uint32, at, length int64) error {
	return keepingTimes(path, func() error {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		return unix.Fallocate(int(file.Fd()), mode, at, length)
	})
}

// fill writes the zeros that a hole stands for.
func fill(name string) func(root string) error {
	return func(root string) error {
		return writeAt(filepath.Join(root, name), 1<<20, strings.Repeat("\x00", 1<<20))
	}
}
