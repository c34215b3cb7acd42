package daemon

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
	filetree "github.com/weirfs/weir/tree"
)

// fillHoles writes zeros into a file behind its first block, which has data. Its time stays.
func fillHoles(t *testing.T, path string) {
	t.Helper()
	const data = 64 << 10
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	was, err := f.Stat()
	if err == nil {
		_, err = io.Copy(io.NewOffsetWriter(f, data), io.LimitReader(zeros{}, was.Size()-data))
	}
	if err == nil {
		err = os.Chtimes(path, was.ModTime(), was.ModTime()) // exfat does not set the one alone.
	}
	if err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// differences counts what weir verify would list.
func differences(t *testing.T, src, dst string) (n int64) {
	t.Helper()
	var dirs [2]*filetree.Dir
	for i, path := range []string{src, dst} {
		var err error
		if dirs[i], err = filetree.OpenPath(path); err != nil {
			t.Fatal(err)
		}
		defer dirs[i].Close()
	}
	r, err := filetree.Compare(t.Context(), dirs[0], dirs[1], filetree.CompareOptions{
		Content: true, Report: func(d filetree.Difference) { t.Logf("%+v", d) }, Unreadable: func(path string, err error) { t.Errorf("%s: %v", path, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Differences
}

// TestFilledHolesAreMadeAnew has somebody fill the holes of small and large files on the replica with zeros.
func TestFilledHolesAreMadeAnew(t *testing.T) {
	voltest.RequireRoot(t)
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			s := newScene(t, "ext4", fs, false)
			files := map[string]int64{"small": 1 << 20, "large": 30 << 20}
			for name, size := range files {
				write(t, s.in(name), "data")
				if err := os.Truncate(s.in(name), size); err != nil {
					t.Fatal(err)
				}
			}
			s.begin()
			s.alike()
			s.end()
			for name := range files {
				fillHoles(t, s.at(name))
			}
			if n := differences(t, s.src, s.dst); n != 2 {
				t.Fatalf("%d differences are planted, want 2", n)
			}
			if told, _ := foretell(t, s.o); !told.has("small", replicate.ActUpdate) || !told.has("large", replicate.ActUpdate) {
				t.Errorf("a dry run tells %v", told)
			}
			s.begin()
			s.alike()
			if n := differences(t, s.src, s.dst); n > 0 || s.m.Status().Copied != 2 {
				t.Errorf("%d differences are left, %d files were copied", n, s.m.Status().Copied)
			}
			s.end()
		})
	}
}

// TestHolesThatNoTargetStores are no reason to copy a file again.
func TestHolesThatNoTargetStores(t *testing.T) {
	voltest.RequireRoot(t)
	s := newScene(t, "ext4", "exfat", false)
	write(t, s.in("f"), "data")
	then := time.Unix(1_000_000_000, 0) // Which exfat stores.
	if err := errors.Join(os.Truncate(s.in("f"), 1<<20), os.Chtimes(s.in("f"), then, then)); err != nil {
		t.Fatal(err)
	}
	s.begin()
	s.awaitPhase(s.src, replicate.PhaseInSync)
	s.end()
	fillHoles(t, s.at("f")) // Its ctime is another now.
	s.begin()
	s.awaitPhase(s.src, replicate.PhaseInSync)
	if n := s.m.Status().Copied; n != 0 {
		t.Errorf("%d files were copied\n%s", n, s.log)
	}
	s.end()
}
