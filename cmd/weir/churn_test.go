package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/comparer"
	"github.com/weirfs/weir/internal/voltest"
)

// churner changes a tree that grows and gets deep, in all of which a walk takes its time: what is there is listed now and
// then, and things are done to that.
type churner struct {
	root string
	*rand.Rand
	dirs, others []string
}

func (c *churner) list() {
	c.dirs, c.others = c.dirs[:0], c.others[:0]
	_ = filepath.WalkDir(c.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || strings.Count(path, "/") > 40:
			return fs.SkipDir
		case e.Name() == "lost+found":
			return fs.SkipDir
		case e.IsDir():
			c.dirs = append(c.dirs, path)
		default:
			c.others = append(c.others, path)
		}
		return nil
	})
}

func (c *churner) pick(list []string) string {
	if len(list) == 0 {
		return filepath.Join(c.root, "none")
	}
	return list[c.IntN(len(list))]
}

func (c *churner) fresh(kind string, many int) string {
	return filepath.Join(c.pick(c.dirs), fmt.Sprint(kind, c.IntN(many)))
}

// step does one thing, which may fail.
func (c *churner) step() {
	one, other, dir := c.pick(c.others), c.pick(c.others), c.pick(c.dirs)
	switch c.IntN(16) {
	case 0, 1:
		_ = os.WriteFile(c.fresh("new", 300), []byte(strings.Repeat("w", c.IntN(9000))), 0o644)
	case 2:
		if f, err := os.OpenFile(one, os.O_WRONLY|os.O_APPEND|unix.O_NONBLOCK, 0); err == nil {
			_, _ = f.WriteString("appended")
			_ = f.Close()
		}
	case 3:
		_ = os.Truncate(one, int64(c.IntN(20_000)))
	case 4:
		_ = os.Rename(one, c.fresh("renamed", 300))
	case 5:
		_ = os.Rename(one, other)
	case 6:
		if dir != c.root {
			_ = os.Rename(dir, c.fresh("dir", 50))
		}
	case 7:
		_ = os.Link(one, c.fresh("link", 300))
	case 8:
		_ = os.Remove(one)
	case 9:
		_ = unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
	case 10:
		_ = unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	case 11:
		_ = os.Symlink(fmt.Sprint("to", c.IntN(1000)), c.fresh("symlink", 99))
	case 12:
		_ = os.Mkdir(c.fresh("dir", 50), 0o755)
	case 13:
		if os.Remove(one) == nil && os.Mkdir(one, 0o755) == nil { // A file becomes a directory.
			_ = os.WriteFile(filepath.Join(one, "in"), []byte("x"), 0o600)
		}
	case 14:
		if parent := filepath.Dir(dir); len(parent) > len(c.root) { // A directory comes out of another one, and that into it.
			_ = os.Rename(dir, parent+"X")
			_ = os.Rename(parent, filepath.Join(parent+"X", "in"))
		}
	case 15:
		_ = os.Chmod(one, os.FileMode(c.IntN(0o1000)))
		_ = unix.Setxattr(dir, "user.churn", []byte{byte(c.IntN(256))}, 0)
	}
}

// run goes on until stop is closed.
func (c *churner) run(stop, done chan struct{}) {
	defer close(done)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		if n%400 == 0 {
			c.list()
		}
		if c.step(); n%4 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestTortureChurn kills weir while a large tree is churned, and starts it again before that has ended: the walk that finds
// what has happened meanwhile goes on under renames. At rest the replica is equal each time.
func TestTortureChurn(t *testing.T) {
	voltest.RequireRoot(t)
	for _, pair := range [][2]string{{"btrfs", "xfs"}, {"ext4", "btrfs"}} {
		t.Run(pair[0]+"-"+pair[1], func(t *testing.T) {
			src, dst := filepath.Join(voltest.New(t, pair[0]).Dir, "s"), voltest.New(t, pair[1]).Dir
			for n := range 900 {
				dir := filepath.Join(src, fmt.Sprint("d", n%30))
				if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, fmt.Sprint("f", n)), []byte("0"), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"mirror", "--state", filepath.Join(t.TempDir(), "state"), "--max-delete", "off", src, dst}
			p := startWeir(t, args...)
			kill := func() {
				if err := unix.Kill(p.cmd.Process.Pid, unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
				<-p.done
			}
			for range 2 {
				stop, done := make(chan struct{}), make(chan struct{})
				go (&churner{root: src, Rand: rand.New(rand.NewPCG(rand.Uint64(), 1))}).run(stop, done)
				time.Sleep(time.Duration(300+rand.IntN(1500)) * time.Millisecond)
				kill()
				p = startWeir(t, args...)
				time.Sleep(time.Second)
				close(stop)
				<-done
				eventually(t, time.Minute, func() error {
					found, err := comparer.Compare(src, dst, comparer.Options{})
					if err == nil && len(found) > 0 {
						err = fmt.Errorf("%d differ, such as %v\n%s", len(found), found[0], p.output())
					}
					return err
				})
			}
			kill()
		})
	}
}
