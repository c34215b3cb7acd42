package mount

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What statmount(2) is asked for, from include/uapi/linux/mount.h.
const (
	statSuperBasic = 0x1   // Linux 6.8
	statMountBasic = 0x2   // 6.8
	statMountRoot  = 0x8   // 6.8
	statMountPoint = 0x10  // 6.8
	statFSType     = 0x20  // 6.8
	statOptions    = 0x80  // 6.11
	statFSSubtype  = 0x100 // 6.13
	statSource     = 0x200 // 6.13

	statAll = statSuperBasic | statMountBasic | statMountRoot | statMountPoint | statFSType | statOptions |
		statFSSubtype | statSource
)

// listRoot asks listmount(2) for every mount below the root of the process or, for another namespace, of
// that namespace.
const listRoot = ^uint64(0)

// request is struct mnt_id_req.
type request struct {
	size  uint32
	_     uint32
	id    uint64
	param uint64
	nsID  uint64
}

const requestSize = 32 // MNT_ID_REQ_SIZE_VER1, Linux 6.11

// List returns the unique ids of all mounts of a namespace in the order in which they were made, as of one
// moment. Namespace 0 is that of the process. It needs Linux 6.8, and 6.11 for another namespace.
func List(namespace uint64) ([]uint64, error) {
	ids := make([]uint64, 256)
	for {
		n, err := listmount(namespace, ids)
		if err != nil {
			return nil, fmt.Errorf("listmount: %w", err)
		}
		if n < len(ids) {
			return ids[:n], nil
		}
		ids = make([]uint64, 4*len(ids)) // a longer buffer rather than a second part, for one moment
	}
}

func listmount(namespace uint64, ids []uint64) (int, error) {
	req := request{size: requestSize, id: listRoot, nsID: namespace}
	n, _, errno := unix.Syscall6(unix.SYS_LISTMOUNT, uintptr(unsafe.Pointer(&req)),
		uintptr(unsafe.Pointer(&ids[0])), uintptr(len(ids)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Stat describes the mount with a unique id. Namespace 0 is that of the process; another one must be
// named, or the mount is not found. The error is ENOENT for a mount that is gone, which is normal. It does
// not touch the mount: umount(2) cannot fail because of it. A kernel before 6.13 leaves fields empty; see
// Complete.
func Stat(namespace, id uint64) (Entry, error) {
	buf := make([]byte, 2048)
	for {
		mask, err := statmount(namespace, id, buf)
		if err == unix.EOVERFLOW && len(buf) < 1<<20 {
			buf = make([]byte, 4*len(buf))
			continue
		}
		if err != nil {
			return Entry{}, fmt.Errorf("statmount %#x: %w", id, err)
		}
		return parseStat(buf, mask), nil
	}
}

func statmount(namespace, id uint64, buf []byte) (mask uint64, err error) {
	req := request{size: requestSize, id: id, param: statAll, nsID: namespace}
	_, _, errno := unix.Syscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&req)),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	runtime.KeepAlive(buf)
	if errno != 0 {
		return 0, errno
	}
	return binary.NativeEndian.Uint64(buf[8:]), nil
}

// Complete tells whether Stat fills every field of Entry on this kernel (6.13).
func Complete() bool {
	ids := make([]uint64, 1)
	if n, err := listmount(0, ids); err != nil || n < 1 {
		return false
	}
	buf := make([]byte, 64<<10)
	mask, err := statmount(0, ids[0], buf)
	// A file system without options or subtype leaves these bits out; a kernel that knows the source
	// (6.13) knows the others.
	return err == nil && mask&statSource != 0
}

// Offsets in struct statmount; strings follow its fixed part.
const (
	atOptions   = 4
	atMajor     = 16
	atMinor     = 20
	atSuperFlag = 32
	atType      = 36
	atID        = 40
	atParent    = 48
	atAttr      = 64
	atRoot      = 104
	atPoint     = 108
	atSubtype   = 120
	atSource    = 124
	atStrings   = 512

	superReadOnly = 1 // SB_RDONLY
)

func parseStat(buf []byte, mask uint64) Entry {
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(buf[at:]) }
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(buf[at:]) }
	text := func(bit uint64, at int) string {
		if mask&bit == 0 {
			return ""
		}
		return cString(buf, atStrings+int(u32(at)))
	}
	e := Entry{
		ID:            u64(atID),
		ParentID:      u64(atParent),
		Device:        MakeDevice(u32(atMajor), u32(atMinor)),
		Root:          text(statMountRoot, atRoot),
		Point:         text(statMountPoint, atPoint),
		FSType:        text(statFSType, atType),
		Source:        text(statSource, atSource),
		Options:       attrOptions(u64(atAttr)),
		SuperOptions:  text(statOptions, atOptions),
		ReadOnly:      u64(atAttr)&unix.MOUNT_ATTR_RDONLY != 0,
		SuperReadOnly: u32(atSuperFlag)&superReadOnly != 0,
	}
	if sub := text(statFSSubtype, atSubtype); sub != "" {
		e.FSType += "." + sub
	}
	return e
}

func cString(buf []byte, at int) string {
	if at < 0 || at >= len(buf) {
		return ""
	}
	rest := buf[at:]
	if end := bytes.IndexByte(rest, 0); end >= 0 {
		rest = rest[:end]
	}
	return string(rest)
}

// attrOptions prints MOUNT_ATTR_ bits as mountinfo does.
func attrOptions(attr uint64) string {
	names := []string{"rw"}
	if attr&unix.MOUNT_ATTR_RDONLY != 0 {
		names[0] = "ro"
	}
	for _, option := range []struct {
		bit  uint64
		name string
	}{
		{unix.MOUNT_ATTR_NOSUID, "nosuid"},
		{unix.MOUNT_ATTR_NODEV, "nodev"},
		{unix.MOUNT_ATTR_NOEXEC, "noexec"},
		{unix.MOUNT_ATTR_NOATIME, "noatime"},
		{unix.MOUNT_ATTR_NODIRATIME, "nodiratime"},
	} {
		if attr&option.bit != 0 {
			names = append(names, option.name)
		}
	}
	if attr&unix.MOUNT_ATTR__ATIME == unix.MOUNT_ATTR_RELATIME {
		names = append(names, "relatime")
	}
	if attr&unix.MOUNT_ATTR_NOSYMFOLLOW != 0 {
		names = append(names, "nosymfollow")
	}
	return strings.Join(names, ",")
}
