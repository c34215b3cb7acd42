package mount

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
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
	ID    uint64 // never reused; what Stat and List take; 0 before Linux 6.10
	Inode uint64 // of its file, as readlink /proc/PID/ns/mnt prints it; reused
}

const ownNamespace = "/proc/self/ns/mnt"

// OwnInode returns the inode number of the process's mount namespace.
func OwnInode() (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat(ownNamespace, &stat); err != nil {
		return 0, fmt.Errorf("stat the mount namespace: %w", err)
	}
	return stat.Ino, nil
}

// WalkNamespaces visits the machine's mount namespaces but the process's own, also those that no process is in (Linux
// 6.12). The file is closed after the visit: who keeps one open keeps the namespace. An error of visit ends the walk. It
// takes 2 µs for a namespace. EPERM outside the initial pid namespace, or without CAP_SYS_ADMIN there; ENOTTY before 6.12.
func WalkNamespaces(visit func(id uint64, file *fd.FD) error) error {
	own, err := openNamespace(ownNamespace)
	if err != nil {
		return err
	}
	defer own.Close()
	for _, direction := range []uintptr{nsGetNext, nsGetPrevious} {
		if err := walkNamespaces(own, direction, visit); err != nil {
			return err
		}
	}
	return nil
}

func openNamespace(path string) (*fd.FD, error) {
	n, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open mount namespace %s: %w", path, err)
	}
	return fd.New(n), nil
}

// walkNamespaces follows the kernel's list from start, exclusive, in one direction.
func walkNamespaces(start *fd.FD, direction uintptr, visit func(uint64, *fd.FD) error) error {
	at := start
	for {
		id, next, err := stepNamespace(at, direction)
		if at != start {
			_ = at.Close()
		}
		if err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return fmt.Errorf("walk mount namespaces: %w", err)
		}
		if err := visit(id, next); err != nil {
			_ = next.Close()
			return err
		}
		at = next
	}
}

func stepNamespace(at *fd.FD, direction uintptr) (id uint64, next *fd.FD, err error) {
	// struct mnt_ns_info: u32 size, u32 number of mounts, u64 id.
	info := [2]uint64{}
	*(*uint32)(unsafe.Pointer(&info)) = 16
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(at.Int()), direction, uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		return 0, nil, errno
	}
	unix.CloseOnExec(int(n))
	return info[1], fd.New(int(n)), nil
}

// Namespaces lists what WalkNamespaces visits, with the process's own as the first.
func Namespaces() ([]Namespace, error) {
	own, err := openNamespace(ownNamespace)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	first, err := DescribeNamespace(own)
	if err != nil {
		return nil, err
	}
	all := []Namespace{first}
	err = WalkNamespaces(func(_ uint64, file *fd.FD) error {
		namespace, err := DescribeNamespace(file)
		all = append(all, namespace)
		return err
	})
	return all, err
}

// DescribeNamespace tells which namespace an open file is.
func DescribeNamespace(file *fd.FD) (Namespace, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(file.Int(), &stat); err != nil {
		return Namespace{}, fmt.Errorf("stat a mount namespace: %w", err)
	}
	var id uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(file.Int()), nsGetMountNamespaceID, uintptr(unsafe.Pointer(&id)))
	if errno != 0 && errno != unix.ENOTTY {
		return Namespace{}, fmt.Errorf("ask for the id of a mount namespace: %w", errno)
	}
	return Namespace{ID: id, Inode: stat.Ino}, nil
}

// Inhabited is a mount namespace that processes are in.
type Inhabited struct {
	Inode uint64
	PID   int // of one of them
}

// InhabitedNamespaces finds mount namespaces but the process's own by the processes that /proc shows, in about 5 µs for
// a process. hidden is how many processes would not tell theirs.
func InhabitedNamespaces() (found []Inhabited, hidden int, err error) {
	own, err := OwnInode()
	if err != nil {
		return nil, 0, err
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, 0, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, 0, fmt.Errorf("list processes: %w", err)
	}
	known := map[uint64]bool{own: true}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		inode, err := namespaceOf(pid)
		switch {
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			hidden++
		case err == nil && !known[inode]:
			known[inode] = true
			found = append(found, Inhabited{Inode: inode, PID: pid})
		}
	}
	return found, hidden, nil
}

// namespaceOf returns the inode number of a process's mount namespace, without opening it. A process that has ended and
// was not waited for is in none: ENOENT.
func namespaceOf(pid int) (uint64, error) {
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return 0, err
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(link, "mnt:["), "]"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", link, err)
	}
	return inode, nil
}

// OpenNamespaceOf opens the mount namespace of a process.
func OpenNamespaceOf(pid int) (*fd.FD, error) {
	return openNamespace(fmt.Sprintf("/proc/%d/ns/mnt", pid))
}

// OpenNamespace opens a mount namespace that WalkNamespaces or InhabitedNamespaces finds. The error is ENOENT if they
// do not. Keep it open no longer than needed: it keeps the namespace.
func OpenNamespace(namespace Namespace) (*fd.FD, error) {
	if namespace.ID == 0 {
		return openInhabited(namespace)
	}
	var found *fd.FD
	errFound := errors.New("found")
	err := WalkNamespaces(func(id uint64, file *fd.FD) error {
		if id != namespace.ID {
			return nil
		}
		n, err := unix.FcntlInt(uintptr(file.Int()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		found = fd.New(n)
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return found, nil
	case err == nil:
		return nil, fmt.Errorf("open a mount namespace: %w", unix.ENOENT)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOTTY):
		return openInhabited(namespace)
	}
	return nil, err
}

func openInhabited(namespace Namespace) (*fd.FD, error) {
	all, _, err := InhabitedNamespaces()
	if err != nil {
		return nil, err
	}
	for _, in := range all {
		if in.Inode != namespace.Inode {
			continue
		}
		file, err := OpenNamespaceOf(in.PID)
		if err != nil {
			return nil, err
		}
		if is, err := DescribeNamespace(file); err != nil || is.Inode != namespace.Inode || is.ID != namespace.ID && namespace.ID != 0 {
			return nil, errors.Join(err, file.Close(), unix.ENOENT)
		}
		return file, nil
	}
	return nil, fmt.Errorf("open a mount namespace that no process is in: %w", unix.ENOENT)
}

// In runs fn on a thread of its own in a mount namespace, at the root of that (setns(2); needs CAP_SYS_ADMIN in the user
// namespace that owns it, and CAP_SYS_CHROOT). What fn opens stays open. The thread has left the namespace when In returns.
func In(namespace *fd.FD, fn func() error) error {
	result := make(chan error, 1)
	go onOwnThread(func() { result <- inNamespace(namespace, fn) })
	return <-result
}

// onOwnThread runs fn on a thread that ends afterwards, for it is locked. The first thread of a process cannot end, and
// stands for the process in /proc: it is held while another one runs fn.
func onOwnThread(fn func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		fn()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		fn()
	}()
	<-done
	runtime.UnlockOSThread()
}

func inNamespace(namespace *fd.FD, fn func() error) error {
	own, err := openNamespace(ownNamespace)
	if err != nil {
		return err
	}
	defer own.Close()
	// Threads share root and working directory, which setns would change.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the root of a thread: %w", err)
	}
	if err := unix.Setns(namespace.Int(), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter a mount namespace: %w", err)
	}
	err = fn()
	if back := unix.Setns(own.Int(), unix.CLONE_NEWNS); back != nil {
		err = errors.Join(err, fmt.Errorf("return to the own mount namespace: %w", back))
	}
	return err
}
