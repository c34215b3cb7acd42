package procmaps

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/mount"
)

// query is struct procmap_query of linux/fs.h, Linux 6.11.
type query struct {
	size, flags, address uint64

	start, end, permissions, pageSize, offset, inode uint64
	major, minor                                     uint32

	nameSize, buildIDSize       uint32
	nameAddress, buildIDAddress uint64
}

// procmapQuery is PROCMAP_QUERY, _IOWR('f', 17, struct procmap_query).
const procmapQuery = 3<<30 | uint(unsafe.Sizeof(query{}))<<16 | 'f'<<8 | 17

// Flags of a query: of what is looked for, and that it may lie behind the address.
const (
	queryWritable          = 0x02
	queryShared            = 0x08
	queryCoveringOrNext    = 0x10
	queryBackedByFile      = 0x20
	querySharedAndWritable = queryWritable | queryShared | queryBackedByFile | queryCoveringOrNext
)

// next asks for the first shared, writable mapping of a file that ends behind address. The error is ENOENT if
// there is none, ENOTTY if the kernel cannot be asked so.
func next(maps int, address uint64) (m Mapping, err error) {
	q := query{size: uint64(unsafe.Sizeof(query{})), flags: querySharedAndWritable, address: address}
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(maps), uintptr(procmapQuery), uintptr(unsafe.Pointer(&q)))
		switch errno {
		case 0:
			return Mapping{Start: q.start, End: q.end, Device: mount.MakeDevice(q.major, q.minor)}, nil
		case unix.EINTR:
		default:
			return m, errno
		}
	}
}
