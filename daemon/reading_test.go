package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/policy"
)

// TestLargeFileWithTwoNames has the names of one large file copied together, at the start and live.
func TestLargeFileWithTwoNames(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	big := bytes.Repeat([]byte("large"), 4<<20)
	make := func(dir string) {
		mkdir(t, s.in(dir))
		write(t, s.in(dir+"/a"), string(big))
		for _, other := range []string{"/b", "/c"} {
			if err := os.Link(s.in(dir+"/a"), s.in(dir+other)); err != nil {
				t.Fatal(err)
			}
		}
	}
	make("first")
	s.begin()
	s.alike()
	make("second")
	s.alike()
	s.end()
}

// TestDeletedWhileItSettles deletes a file that waits for its next copy: nothing is owed for it then.
func TestDeletedWhileItSettles(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	big := bytes.Repeat([]byte("large"), 8<<20)
	write(t, s.in("log"), string(big))
	s.begin()
	s.alike()
	write(t, s.in("log"), string(big[1:]))
	s.await("the file to be left in peace", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseSettling })
	if err := os.Remove(s.in("log")); err != nil {
		t.Fatal(err)
	}
	s.await("in sync", func() bool { return s.unit(s.src, s.dst).Phase == replicate.PhaseInSync })
	s.end()
}

// TestBadBlockStopsOneFile makes one file of the source unreadable, by a checksum that is wrong.
func TestBadBlockStopsOneFile(t *testing.T) {
	s := newScene(t, "btrfs", "ext4", false)
	for _, name := range []string{"bad", "big"} {
		size := 1 << 15
		if name == "big" {
			size = 9 << 20
		}
		write(t, s.in(name), string(bytes.Repeat([]byte(name+"-block-that-goes-bad"), size/24)))
	}
	populate(t, s.src, 3, 4)
	s.from.Unmount()
	spoil(t, s.from.Device, "bad-block-that-goes-bad", "big-block-that-goes-bad")
	s.from.Mount()
	s.begin()
	s.await("both files to be listed", func() bool { return len(s.m.Status().Problems) == 2 })
	s.equalBut(s.src, s.dst, func(path string) bool { return path == "bad" || path == "big" })
	write(t, s.in("later"), "x")
	s.awaitText(s.at("later"), "x")
	write(t, s.in("bad"), "good again")
	s.awaitText(s.at("bad"), "good again")
	s.end()
}

// spoil changes a byte of every block of a device that begins with, or holds, one of the texts.
func spoil(t *testing.T, device string, texts ...string) {
	t.Helper()
	f, err := os.OpenFile(device, os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for at := int64(0); ; at += int64(len(block)) {
		n, err := f.ReadAt(block, at)
		for _, text := range texts {
			if i := bytes.Index(block[:n], []byte(text)); i >= 0 {
				if _, err := f.WriteAt([]byte{block[i] ^ 1}, at+int64(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// TestLeftOutMountIsEmpty leaves a mount below the source out: what is in it and what it covers is not shown, and
// what it covered is when it has gone.
func TestLeftOutMountIsEmpty(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		s.o.OneVolume = true
		early := mkdir(t, s.in("dir/early"))
		mkdir(t, filepath.Join(early, "sub"))
		write(t, filepath.Join(early, "covered"), "1")
		v := voltest.New(t, "ext4", voltest.At(early))
		write(t, filepath.Join(early, "inside"), "1")
		shadow := mkdir(t, filepath.Join(t.TempDir(), "shadow"))
		voltest.Bind(t, s.from.Dir, shadow) // Shows what is covered.
		covered := filepath.Join(shadow, "s/dir/early")
		s.begin()
		s.await("the directory", func() bool { return !absent(s.at("dir/early")) })
		s.quiet(10 * time.Second)
		write(t, filepath.Join(covered, "covered too"), "1")
		write(t, filepath.Join(covered, "sub/deep"), "1")
		rename(t, mkdir(t, filepath.Join(shadow, "s/tree")), filepath.Join(covered, "tree"))
		still(t, "the directory is empty", func() bool {
			list, err := os.ReadDir(s.at("dir/early"))
			return err == nil && len(list) == 0
		})
		v.Unmount()
		s.awaitText(s.at("dir/early/covered"), "1")
		s.awaitText(s.at("dir/early/sub/deep"), "1")
		s.alike()
		s.end()
	})
}

// TestDirectoryComesFromOutside moves directories into the source in which something happened while they were
// outside, and follows what happens in them from then on.
func TestDirectoryComesFromOutside(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	deep := mkdir(t, filepath.Join(s.from.Dir, "out/x/deep"))
	s.begin()
	s.alike()
	write(t, filepath.Join(deep, "f"), "1")
	write(t, filepath.Join(s.from.Dir, "out/x/f"), "1")
	s.quiet(10 * time.Second)
	rename(t, filepath.Join(s.from.Dir, "out/x"), s.in("x"))
	s.awaitText(s.at("x/deep/f"), "1")
	s.alike()
	write(t, s.in("x/deep/f"), "2")
	write(t, s.in("x/g"), "2")
	s.awaitText(s.at("x/deep/f"), "2")
	s.alike()
	s.end()
}

// TestExcludedNoMore renames a directory so that a rule does not speak of it any more.
func TestExcludedNoMore(t *testing.T) {
	s := newScene(t, "ext4", "ext4", false)
	mkdir(t, s.in("cache/sub"))
	write(t, s.in("cache/sub/f"), "1")
	s.begin()
	s.alike()
	s.end()
	var err error
	if s.o.Rules, err = policy.ParseRules([]string{"cache"}); err != nil {
		t.Fatal(err)
	}
	s.begin()
	s.quiet(10 * time.Second)
	write(t, s.in("cache/sub/f"), "2")
	write(t, s.in("cache/g"), "2")
	still(t, "what is excluded", func() bool { return text(t, s.at("cache/sub/f")) == "1" })
	rename(t, s.in("cache"), s.in("data"))
	s.awaitText(s.at("data/sub/f"), "2")
	s.alike()
	write(t, s.in("data/g"), "3")
	s.awaitText(s.at("data/g"), "3")
	s.end()
}
