package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/replica"
)

// While somebody exchanges a directory and files with symbolic links to a victim, nothing that is done in the
// tree reaches the victim.
func TestNothingEscapes(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			v := voltest.New(t, fs)
			shell(t, v.Dir, `mkdir -p victim/dir/sub tree/dir/sub tree/x; echo secret > victim/file; echo secret > victim/dir/file
				setfattr -n user.a -v victim victim/file; ln -s ../victim/dir tree/x/dir; ln -s ../victim/file tree/x/file; echo own > tree/file
				chmod -R go= victim; touch -d @0 victim/dir/sub victim/dir victim/file victim/dir/file victim`)
			before := snapshot(t, filepath.Join(v.Dir, "victim"))
			d := root(t, filepath.Join(v.Dir, "tree"))
			stop := make(chan struct{})
			var attacker sync.WaitGroup
			attacker.Go(func() { exchange(filepath.Join(v.Dir, "tree"), stop) })
			deadline := time.Now().Add(700 * time.Millisecond)
			var hits [2]int
			for i := 0; time.Now().Before(deadline); i++ {
				ok := attack(d, i)
				if ok {
					hits[0]++
				} else {
					hits[1]++
				}
			}
			close(stop)
			attacker.Wait()
			if after := snapshot(t, filepath.Join(v.Dir, "victim")); after != before {
				t.Errorf("the victim was\n%s\nand is\n%s", before, after)
			}
			if hits[0] == 0 || hits[1] == 0 {
				t.Errorf("no race: %d opened, %d refused", hits[0], hits[1])
			}
			t.Logf("%d opened, %d refused", hits[0], hits[1])
		})
	}
}

// exchange lets tree/dir and tree/file change places with links in tree/x.
func exchange(tree string, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, name := range []string{"dir", "file"} {
			_ = unix.Renameat2(unix.AT_FDCWD, tree+"/"+name, unix.AT_FDCWD, tree+"/x/"+name, unix.RENAME_EXCHANGE)
		}
		// The link may have been removed, or another directory made in its place.
		_, err := os.Readlink(tree + "/dir")
		if _, other := os.Readlink(tree + "/x/dir"); err != nil && other != nil {
			os.RemoveAll(tree + "/x/dir")
			_ = os.Symlink("../victim/dir", tree+"/x/dir")
		}
	}
}

// attack does one of everything at names that may have become links, and tells whether the directory was one.
func attack(d *Dir, i int) bool {
	file := replica.Attr{Mode: replica.TypeFile | 0o777, UID: 1, GID: 1}
	x := Xattrs{"user.a": fmt.Sprint(i)}
	d.SetMeta("file", file, x, MetaOptions{Times: true})
	d.SetMeta("dir", replica.Attr{Mode: replica.TypeDir | 0o777, UID: 1, GID: 1}, x, MetaOptions{Times: true})
	if f, err := d.OpenFile("file"); err == nil {
		buf := make([]byte, 6)
		if n, _ := f.ReadAt(buf, 0); string(buf[:n]) == "secret" {
			panic("the victim was read")
		}
		f.Close()
	}
	sub, err := d.Walk([]string{"dir"})
	if err != nil {
		return false
	}
	defer sub.Close()
	sub.Unlink("file")
	sub.Rmdir("sub")
	if f, err := sub.CreateTemp("file"); err == nil {
		f.WriteAt([]byte("own"), 0)
		f.SetMeta(file, x, MetaOptions{})
		f.Close()
	}
	Rename(sub, "file", d, "new", 0)
	Link(d, "new", sub, "file")
	sub.Mkdir("sub")
	sub.Mkdir("deep")
	sub.Symlink("x", "deep/link")
	RemoveAll(sub, "deep")
	if i%8 == 0 {
		RemoveAll(d, "dir")
		d.Mkdir("dir")
	}
	return true
}

// snapshot describes a tree by code that is not under test.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	out, err := command(dir, `find . -printf '%p %y %m %U:%G %T@ %C@ %s %n\n' | sort; getfattr -R -d . 2>&1; cat file dir/file`).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return string(out)
}

// A directory that is moved out of the tree while it is being removed is left alone from then on.
func TestRemoveAllLosesItsWay(t *testing.T) {
	v := voltest.New(t, "ext4")
	d := root(t, v.Dir)
	for range 20 {
		shell(t, v.Dir, "mkdir -p tree/a/b outside/keep; seq -f 'tree/a/b/d%g/x' 300 | xargs mkdir -p; touch outside/keep/file")
		var mover sync.WaitGroup
		mover.Go(func() {
			time.Sleep(2 * time.Millisecond)
			os.Rename(v.Dir+"/tree/a/b", v.Dir+"/outside/b")
		})
		RemoveAll(d, "tree")
		mover.Wait()
		if _, err := os.Stat(v.Dir + "/outside/keep/file"); err != nil {
			t.Fatal(err)
		}
		must(t, RemoveAll(d, "tree"))
		must(t, RemoveAll(d, "outside"))
	}
}
