package voltest

import (
	"fmt"
	"os"

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
