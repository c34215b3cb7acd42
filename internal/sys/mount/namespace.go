package mount

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// From include/uapi/linux/nsfs.h: _IOR(0xb7, 5, __u64) and _IOR(0xb7, 11, struct mnt_ns_info).
const (
	nsGetMountNamespaceID = 0x8008b705 // Linux 6.10
	nsGetNext             = 0x8010b70b // Linux 6.12
	nsGetPrevious         = 0x8010b70c // Linux 6.12
)

// Namespace is one mount namespace.
type Namespace struct {
	ID    uint64 // never reused; what Stat and List take
	Inode uint64 // of its file, as readlink /proc/PID/ns/mnt prints it
}

// OwnInode returns the inode number of the process's mount namespace.
func OwnInode() (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/ns/mnt", &stat); err != nil {
		return 0, fmt.Errorf("stat the mount namespace: %w", err)
	}
	return stat.Ino, nil
}

// Namespaces lists the machine's mount namespaces, also those that no process is in (Linux 6.12; needs
// CAP_SYS_ADMIN in the initial user namespace). The process's own comes first.
func Namespaces() ([]Namespace, error) {
	n, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the mount namespace: %w", err)
	}
	own := fd.New(n)
	defer own.Close()
	first, err := describeNamespace(own)
	if err != nil {
		return nil, err
	}
	later, err1 := walkNamespaces(own, nsGetNext)
	earlier, err2 := walkNamespaces(own, nsGetPrevious)
	return append(append([]Namespace{first}, later...), earlier...), errors.Join(err1, err2)
}

// walkNamespaces follows the kernel's list from start, exclusive, in one direction.
func walkNamespaces(start *fd.FD, direction uintptr) ([]Namespace, error) {
	var found []Namespace
	at := start
	for {
		next, err := stepNamespace(at, direction)
		if at != start {
			_ = at.Close()
		}
		if err == unix.ENOENT {
			return found, nil
		}
		if err != nil {
			return found, fmt.Errorf("walk mount namespaces: %w", err)
		}
		namespace, err := describeNamespace(next)
		if err != nil {
			_ = next.Close()
			return found, err
		}
		found, at = append(found, namespace), next
	}
}

func stepNamespace(at *fd.FD, direction uintptr) (*fd.FD, error) {
	// struct mnt_ns_info: u32 size, u32 number of mounts, u64 id.
	info := [2]uint64{}
	*(*uint32)(unsafe.Pointer(&info)) = 16
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(at.Int()), direction, uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		return nil, errno
	}
	unix.CloseOnExec(int(n))
	return fd.New(int(n)), nil
}

func describeNamespace(file *fd.FD) (Namespace, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(file.Int(), &stat); err != nil {
		return Namespace{}, fmt.Errorf("stat a mount namespace: %w", err)
	}
	var id uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(file.Int()), nsGetMountNamespaceID, uintptr(unsafe.Pointer(&id)))
	if errno != 0 {
		return Namespace{}, fmt.Errorf("ask for the id of a mount namespace: %w", errno)
	}
	return Namespace{ID: id, Inode: stat.Ino}, nil
}
