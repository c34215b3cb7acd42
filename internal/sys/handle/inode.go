package handle

import "encoding/binary"

// Types of handles: enum fid_type of <linux/exportfs.h>, and xfs_export.h.
const (
	inode32      = 0x01 // ext4, and what uses the kernel's own form; tmpfs has a longer one
	inode64      = 0x81 // xfs
	inodeOfBtrfs = 0x4d
)

// Lengths of the string form, with the type.
const (
	longInode32 = header + 8  // number, generation
	longTmpfs   = header + 12 // generation, number of 64 bits
	longInode64 = header + 12 // number of 64 bits, generation
	longBtrfs   = header + 20 // number of 64 bits, root of the subvolume, generation
)

// Inode returns the inode number in a handle of a form that is known: those of ext4, xfs, btrfs and tmpfs. A
// handle of another file system may look like one of these and give a wrong number, so the answer is good for
// a comparison with the number from stat(2), and for nothing else.
func Inode(s string) (ino uint64, ok bool) {
	if len(s) <= header {
		return 0, false
	}
	data := []byte(s[header:])
	switch kind := binary.LittleEndian.Uint32([]byte(s[:header])); {
	case kind == inode32 && len(s) == longInode32:
		return uint64(binary.NativeEndian.Uint32(data)), true
	case kind == inode32 && len(s) == longTmpfs:
		low, high := binary.NativeEndian.Uint32(data[4:]), binary.NativeEndian.Uint32(data[8:])
		return uint64(high)<<32 | uint64(low), true
	case kind == inode64 && len(s) == longInode64, kind == inodeOfBtrfs && len(s) == longBtrfs:
		return binary.NativeEndian.Uint64(data), true
	}
	return 0, false
}
