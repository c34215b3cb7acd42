package mount

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Entry describes one mount. The zero value describes none.
type Entry struct {
	ID       uint64 // unique if it comes from Stat, the reusable number if it comes from mountinfo
	ParentID uint64 // of the same kind
	Device   Device // of the superblock; st_dev of its files may differ (btrfs subvolumes)

	Root  string // directory of the superblock that shows
	Point string // where it shows, seen from the root of the process; empty if it cannot be reached from there

	FSType string // with its subtype: "fuse.bindfs"
	Source string // what was mounted, as the file system tells it

	Options       string // of this mount: "rw,nosuid,relatime"
	SuperOptions  string // of the superblock, as the file system prints them
	ReadOnly      bool   // the mount
	SuperReadOnly bool   // the superblock
}

// Device is the device number of a superblock.
type Device uint64

// MakeDevice composes a device number.
func MakeDevice(major, minor uint32) Device { return Device(unix.Mkdev(major, minor)) }

// String returns "major:minor".
func (d Device) String() string {
	return fmt.Sprintf("%d:%d", unix.Major(uint64(d)), unix.Minor(uint64(d)))
}
