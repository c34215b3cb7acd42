package mount

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/handle"
)

// The requests of ioctl(2) that tell about a superblock.
const (
	getFSUUID     = 0x80111500 // FS_IOC_GETFSUUID, include/uapi/linux/fs.h, Linux 6.9
	getFSLabel    = 0x81009431 // FS_IOC_GETFSLABEL, Linux 4.18; ext4 since 5.17
	ext4GetFSUUID = 0x8008662c // EXT4_IOC_GETFSUUID, Linux 6.0
	xfsGeometryV1 = 0x80705864 // XFS_IOC_FSGEOMETRY_V1
	btrfsFSInfo   = 0x8400941f // BTRFS_IOC_FS_INFO
	xfsBulkStat   = 0x8040587f // XFS_IOC_BULKSTAT, Linux 5.3
)

// UUID returns the UUID of the superblock of an open directory, in its usual form, or "" where the file
// system has none or does not tell: FS_IOC_GETFSUUID where Linux has it, the file system's own ioctl
// before, else what udev has found on the device.
func UUID(dir *fd.FD, fsType string, device Device) string {
	var generic struct {
		size  uint8
		bytes [16]byte
	}
	if ioctl(dir, getFSUUID, unsafe.Pointer(&generic)) == nil && generic.size == 16 {
		return formatUUID(generic.bytes[:])
	}
	if own := ownUUID(dir, fsType); own != "" {
		return own
	}
	return byDisk("/dev/disk/by-uuid", device)
}

// HasUUIDCall tells whether FS_IOC_GETFSUUID works on an open directory, and why not.
func HasUUIDCall(dir *fd.FD) error {
	var request [17]byte
	if err := ioctl(dir, getFSUUID, unsafe.Pointer(&request)); err != nil {
		return fmt.Errorf("ioctl FS_IOC_GETFSUUID: %w", err)
	}
	return nil
}

func ownUUID(dir *fd.FD, fsType string) string {
	switch fsType {
	case "ext2", "ext3", "ext4":
		request := struct {
			size, flags uint32
			bytes       [16]byte
		}{size: 16}
		if ioctl(dir, ext4GetFSUUID, unsafe.Pointer(&request)) == nil {
			return formatUUID(request.bytes[:])
		}
	case "xfs":
		var geometry [112]byte
		if ioctl(dir, xfsGeometryV1, unsafe.Pointer(&geometry)) == nil {
			return formatUUID(geometry[64:80])
		}
	case "btrfs":
		return BtrfsID(dir)
	}
	return ""
}

// BtrfsID returns the file system id of the btrfs that an open file is on, which all its subvolumes share
// and no other mounted one has, or "" if it is no btrfs.
func BtrfsID(file *fd.FD) string {
	var info [1024]byte
	if ioctl(file, btrfsFSInfo, unsafe.Pointer(&info)) != nil {
		return ""
	}
	return formatUUID(info[16:32])
}

func formatUUID(b []byte) string {
	if bytes.Count(b, []byte{0}) == len(b) {
		return ""
	}
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Label returns the label of the superblock of an open directory, or "".
func Label(dir *fd.FD, device Device) string {
	var label [256]byte
	if ioctl(dir, getFSLabel, unsafe.Pointer(&label)) == nil {
		return cString(label[:], 0)
	}
	return udevName(byDisk("/dev/disk/by-label", device))
}

// byDisk returns the name of the link in one of udev's directories that leads to device.
func byDisk(dir string, device Device) string {
	links, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, link := range links {
		var stat unix.Stat_t
		err := unix.Stat(filepath.Join(dir, link.Name()), &stat)
		if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFBLK && stat.Rdev == uint64(device) {
			return link.Name()
		}
	}
	return ""
}

// udevName undoes the \xNN in which udev writes what it does not like in a name.
func udevName(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if b, err := hex.DecodeString(s[i+2 : i+4]); err == nil {
				out = append(out, b[0])
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// FSID returns f_fsid of statfs(2) for an open file, as the number that the kernel made it of in 16
// hexadecimal digits, or "" where it is zero.
func FSID(file *fd.FD) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(file.Int(), &stat); err != nil {
		return "", fmt.Errorf("fstatfs: %w", err)
	}
	low, high := uint32(stat.Fsid.Val[0]), uint32(stat.Fsid.Val[1])
	if low == 0 && high == 0 {
		return "", nil
	}
	return fmt.Sprintf("%08x%08x", high, low), nil
}

// Root opens the root directory of the superblock that an open directory is on, by the handle that it is
// known to have: whichever subdirectory or subvolume was mounted. It returns nil for a type whose root's
// handle is not known, and where handles cannot be opened.
func Root(dir *fd.FD, fsType string) *fd.FD {
	h := rootHandle(dir, fsType)
	if h == "" {
		return nil
	}
	n, err := handle.Open(dir.Int(), h, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil
	}
	return fd.New(n)
}

// Types of handles, from include/linux/exportfs.h.
const (
	handleIno32 = 0x01 // inode number and generation, 4 bytes each
	handleIno64 = 0x81 // FILEID_INO32_GEN | XFS_FILEID_TYPE_64FLAG: 8 bytes and 4
)

func rootHandle(dir *fd.FD, fsType string) string {
	le := binary.LittleEndian
	kind := func(n uint32) []byte { return le.AppendUint32(nil, n) }
	switch fsType {
	case "ext2", "ext3", "ext4":
		return string(binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(kind(handleIno32), 2), 0))
	case "btrfs":
		h, err := handle.BtrfsTop(dir.Int())
		if err != nil {
			return ""
		}
		return h
	case "xfs":
		inode, generation, ok := xfsRoot(dir)
		if !ok {
			return ""
		}
		b := binary.NativeEndian.AppendUint64(kind(handleIno64), inode)
		return string(binary.NativeEndian.AppendUint32(b, generation))
	}
	return ""
}

const xfsGenerationAt = 64 // in struct xfs_bulkstat

// xfsRoot asks for the special inode "root" (XFS_BULK_IREQ_SPECIAL_ROOT).
func xfsRoot(dir *fd.FD) (inode uint64, generation uint32, ok bool) {
	var bulk struct {
		inode                 uint64
		flags, icount, ocount uint32
		group                 uint32
		_                     [5]uint64
		stat                  [192]byte // struct xfs_bulkstat
	}
	bulk.inode, bulk.flags, bulk.icount = 1, 1<<1, 1
	if ioctl(dir, xfsBulkStat, unsafe.Pointer(&bulk)) != nil || bulk.ocount != 1 {
		return 0, 0, false
	}
	return binary.NativeEndian.Uint64(bulk.stat[:]), binary.NativeEndian.Uint32(bulk.stat[xfsGenerationAt:]), true
}

func ioctl(file *fd.FD, request uintptr, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(file.Int()), request, uintptr(argument))
	if errno != 0 {
		return errno
	}
	return nil
}
