package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestNoRoomIsKnownBeforehand copies to targets with less room than the file has data, blocks, or blocks that the
// old version does not have.
func TestNoRoomIsKnownBeforehand(t *testing.T) {
	const m = 1 << 20
	src := root(t, voltest.New(t, "xfs").Dir)
	dir := fmt.Sprint("/proc/self/fd/", src.FD())
	whole := content{"whole", 24 * m, [][2]int64{{0, 24 * m}}, nil}
	whole.write(t, filepath.Join(dir, "whole"), 1)
	content{"", 24 * m, [][2]int64{{m, m}}, [][2]int64{{0, 24 * m}}}.write(t, filepath.Join(dir, "preallocated"), 1)
	for _, fs := range []string{"ext4", "xfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			v := voltest.New(t, fs, voltest.Size(400*m))
			dst := root(t, v.Dir)
			whole.write(t, filepath.Join(v.Dir, "base"), 1)
			leave(t, v.Dir, 16*m)
			copyFile(t, src, "preallocated", dst, "", CopyOptions{})
			RemoveAll(dst, "copy")
			s := got[*File](t)(src.OpenFile("whole"))
			defer s.Close()
			f := got[*File](t)(dst.CreateTemp("refused"))
			defer f.Close()
			if r, err := CopyData(t.Context(), f, s, nil, CopyOptions{}); !errors.Is(err, syscall.ENOSPC) || r.Read > 0 {
				t.Errorf("%v after %d bytes, want that nothing is read", err, r.Read)
			}
			if fs == "xfs" {
				copyFile(t, src, "whole", dst, "base", CopyOptions{})
			}
		})
	}
}

// leave takes the room of a volume but for some bytes.
func leave(t *testing.T, dir string, bytes int64) {
	t.Helper()
	var s unix.Statfs_t
	must(t, unix.Statfs(dir, &s))
	f := got[*os.File](t)(os.Create(filepath.Join(dir, "filler")))
	defer f.Close()
	must(t, unix.Fallocate(int(f.Fd()), 0, 0, int64(s.Bfree)*s.Frsize-bytes))
}
