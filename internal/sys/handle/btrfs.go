package handle

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From include/uapi/linux/btrfs.h and btrfs_tree.h.
const (
	btrfsTreeSearch  = 0xd0009411 // BTRFS_IOC_TREE_SEARCH
	btrfsTopTree     = 5          // BTRFS_FS_TREE_OBJECTID
	btrfsTopInode    = 256        // BTRFS_FIRST_FREE_OBJECTID
	btrfsInodeItem   = 1          // BTRFS_INODE_ITEM_KEY
	btrfsHandleShort = 0x4d       // FILEID_BTRFS_WITHOUT_PARENT: inode, tree and generation, of 8, 8 and 4 bytes
)

// btrfsSearch is struct btrfs_ioctl_search_args with room for what is asked.
type btrfsSearch struct {
	tree               uint64
	minInode, maxInode uint64
	minOffset          uint64
	maxOffset          uint64
	minTransaction     uint64
	maxTransaction     uint64
	minType, maxType   uint32
	items, _           uint32
	_                  [4]uint64
	found              [4096 - 104]byte
}

// btrfsItemAt is the size of struct btrfs_ioctl_search_header, behind which the item lies.
const btrfsItemAt = 32

// BtrfsTop returns the handle of the top directory of the btrfs that dir, any directory in one of its
// subvolumes, is on: whichever of them is mounted. It asks the file system for the directory's generation,
// because before Linux 6.2 a handle without one is stale. It needs CAP_SYS_ADMIN. The error is ENOTTY on
// other file systems.
func BtrfsTop(dir int) (string, error) {
	search := btrfsSearch{
		tree: btrfsTopTree, minInode: btrfsTopInode, maxInode: btrfsTopInode, minType: btrfsInodeItem,
		maxType: btrfsInodeItem, maxOffset: ^uint64(0), maxTransaction: ^uint64(0), items: 1,
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(dir), btrfsTreeSearch, uintptr(unsafe.Pointer(&search)))
	if errno != 0 {
		return "", fmt.Errorf("ioctl BTRFS_IOC_TREE_SEARCH: %w", errno)
	}
	if search.items != 1 {
		return "", fmt.Errorf("find the top directory of a btrfs: %w", unix.ENOENT)
	}
	// struct btrfs_inode_item begins with the generation, in the byte order of the disk.
	generation := uint32(binary.LittleEndian.Uint64(search.found[btrfsItemAt:]))
	h := binary.LittleEndian.AppendUint32(nil, btrfsHandleShort)
	h = binary.NativeEndian.AppendUint64(h, btrfsTopInode)
	h = binary.NativeEndian.AppendUint64(h, btrfsTopTree)
	return string(binary.NativeEndian.AppendUint32(h, generation)), nil
}
