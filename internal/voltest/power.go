package voltest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// How much of what was written a file system keeps when it is shut down; the values are those of
// EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN, which are one ioctl.
const (
	ShutdownFlush      = 0 // everything
	ShutdownFlushLog   = 1 // the journal, but not the data
	ShutdownNoFlushLog = 2 // only what had reached the device
)

// goingDown is _IOR('X', 125, __u32), from fs/xfs/libxfs/xfs_fs.h and fs/ext4/ext4.h.
const goingDown = 0x8004587d

// Shutdown makes an ext4 or xfs volume fail everything from now on, as a power cut does; unmount it and
// mount it again to see what has survived.
func (v *Volume) Shutdown(how int) {
	v.t.Helper()
	root, err := os.Open(v.Dir)
	if err == nil {
		defer root.Close()
		err = unix.IoctlSetPointerInt(int(root.Fd()), goingDown, how)
	}
	if err != nil {
		v.t.Fatal(fmt.Errorf("voltest: shut down %s: %w", v.Dir, err))
	}
}

// Of ioctl_fs(2): _IOWR('X', 119, int) and 120.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// Freeze freezes the file system that shows dir, so that writers of it sleep in the kernel, and returns how to thaw it.
// That is done at the end of the test too.
func Freeze(t testing.TB, dir string) (thaw func()) {
	t.Helper()
	root, err := os.Open(dir)
	if err == nil {
		err = unix.IoctlSetInt(int(root.Fd()), fiFreeze, 0)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("voltest: freeze %s: %w", dir, err))
	}
	thaw = sync.OnceFunc(func() {
		if err := unix.IoctlSetInt(int(root.Fd()), fiThaw, 0); err != nil {
			t.Errorf("voltest: thaw %s: %v", dir, err)
		}
		_ = root.Close()
	})
	t.Cleanup(thaw)
	return thaw
}
