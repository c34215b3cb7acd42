package handle

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSize is MAX_HANDLE_SZ of name_to_handle_at(2).
const maxSize = 128

// header is the length of the type in the string form.
const header = 4

// raw is struct file_handle.
type raw struct {
	size uint32
	kind int32
	data [maxSize]byte
}

// ErrMalformed is returned for a string that is no handle.
var ErrMalformed = errors.New("malformed file handle")

// Name is what OfName tells of one name.
type Name struct {
	Handle string
	Mount  uint64 // number of the mount that the object was reached on, as statx(2) has it
}

// Of returns the handle of what the descriptor n, perhaps one of O_PATH, refers to. The error is
// EOPNOTSUPP where the file system's inodes cannot be opened by handle.
func Of(n int) (string, error) {
	found, err := get(n, "", unix.AT_EMPTY_PATH)
	return found.Handle, err
}

// OfName returns the handle of the object with one name below dir, and does not follow it.
func OfName(dir int, name string) (Name, error) { return get(dir, name, 0) }

// OfPath returns the handle of what a path leads to, following symbolic links. Nothing is opened: the file
// system is pinned for the length of the system call.
func OfPath(path string) (string, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return "", err
	}
	found, err := ask(unix.AT_FDCWD, unsafe.Pointer(p), unix.AT_SYMLINK_FOLLOW)
	return found.Handle, err
}

// maxName is NAME_MAX and the byte that ends a string.
const maxName = 256

func get(dir int, name string, flags uintptr) (Name, error) {
	var path [maxName]byte
	if len(name) >= maxName {
		return Name{}, unix.ENAMETOOLONG
	}
	copy(path[:], name)
	return ask(dir, unsafe.Pointer(&path), flags)
}

// ask calls name_to_handle_at(2) with a path that ends in a zero byte.
func ask(dir int, path unsafe.Pointer, flags uintptr) (Name, error) {
	h := raw{size: maxSize}
	var mount int32
	for {
		_, _, errno := unix.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(dir),
			uintptr(path), uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&mount)), flags, 0)
		switch errno {
		case 0:
			s, err := h.encode()
			return Name{s, uint64(mount)}, err
		case unix.EINTR:
		default:
			return Name{}, errno
		}
	}
}

func (h *raw) encode() (string, error) {
	if h.size > maxSize {
		return "", ErrMalformed
	}
	var buf [header + maxSize]byte
	binary.LittleEndian.PutUint32(buf[:], uint32(h.kind))
	copy(buf[header:], h.data[:h.size])
	return string(buf[:header+h.size]), nil
}

func decode(s string) (raw, error) {
	if len(s) <= header || len(s) > header+maxSize {
		return raw{}, ErrMalformed
	}
	h := raw{size: uint32(len(s) - header), kind: int32(binary.LittleEndian.Uint32([]byte(s[:header])))}
	copy(h.data[:], s[header:])
	return h, nil
}

// ext4 and others say ENOMEM while a new inode is being made under the number of the one that is asked for, which takes
// microseconds and leaves that one stale. What is asked more often than this lacks memory.
const (
	creations    = 20
	creationTime = time.Millisecond
)

// Open opens the inode with the given handle on the file system of the descriptor mount, which is not one
// of O_PATH. The error is ESTALE if there is no such inode any more; the kernel says ESTALE, too, when it
// could not read the inode.
func Open(mount int, s string, flags int) (int, error) {
	h, err := decode(s)
	if err != nil {
		return -1, err
	}
	for try := 0; ; {
		n, _, errno := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mount),
			uintptr(unsafe.Pointer(&h)), uintptr(flags|unix.O_CLOEXEC))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.ENOMEM:
			if try++; try > creations {
				return -1, errno
			}
			time.Sleep(creationTime)
		default:
			return -1, errno
		}
	}
}
