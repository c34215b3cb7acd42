package xattr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxTotal bounds what All reads of one inode, in bytes of names and values.
const MaxTotal = 16 << 20

// ErrTooMuch is returned for an inode with more than MaxTotal bytes of attributes.
var ErrTooMuch = errors.New("more than 16 MiB of extended attributes")

// FD is the object of the calls.
type FD struct {
	N    int
	Path bool // N is one of O_PATH
}

func (f FD) path() string { return "/proc/self/fd/" + strconv.Itoa(f.N) }

// All returns every attribute of every namespace, access control lists included. A file system without
// attributes has none. Attributes that go or change while they are read are missing or new.
func All(f FD) (map[string]string, error) {
	names, err := list(f)
	if err != nil || names == "" {
		return nil, err
	}
	all, total := make(map[string]string), 0
	for name := range strings.SplitSeq(strings.TrimSuffix(names, "\x00"), "\x00") {
		if alias(name) {
			continue
		}
		value, err := get(f, name)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read attribute %q: %w", name, err)
		}
		if total += len(name) + len(value); total > MaxTotal {
			return nil, ErrTooMuch
		}
		all[name] = value
	}
	return all, nil
}

// alias reports whether name is only another view of an access control list: xfs lists these beside
// system.posix_acl_*.
func alias(name string) bool {
	return name == "trusted.SGI_ACL_FILE" || name == "trusted.SGI_ACL_DEFAULT"
}

// gone reports whether a name that was listed a moment ago has no value: it was removed, or, as on some
// file systems, it is listed although it cannot be read.
func gone(err error) bool { return err == unix.ENODATA || err == unix.EOPNOTSUPP }

// None reports whether the object with one name below dir, which is not followed, is known to have no
// attributes. It is false on any error: ask All then.
func None(dir int, name string) bool {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return false
	}
	size, _, errno := unix.Syscall6(unix.SYS_LISTXATTRAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
		unix.AT_SYMLINK_NOFOLLOW, 0, 0, 0)
	if errno == unix.ENOSYS {
		return noneByPath(dir, name)
	}
	return errno == 0 && size == 0
}

// noneByPath is None for kernels without listxattrat(2), which Linux 6.13 brought. The path leads through
// the descriptor to the directory itself, and by one name on.
func noneByPath(dir int, name string) bool {
	size, err := unix.Llistxattr(FD{N: dir}.path()+"/"+name, nil)
	return err == nil && size == 0
}

// Bare reports whether the file that n is open for is known to have no attributes. It is false on any error:
// ask All then.
func Bare(n int) bool {
	size, err := unix.Flistxattr(n, nil)
	return err == nil && size == 0
}

func list(f FD) (string, error) {
	names, err := grow(func(buf []byte) (int, error) {
		if f.Path {
			return unix.Listxattr(f.path(), buf)
		}
		return unix.Flistxattr(f.N, buf)
	})
	if err == unix.EOPNOTSUPP {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list attributes: %w", err)
	}
	return names, nil
}

func get(f FD, name string) (string, error) {
	return grow(func(buf []byte) (int, error) {
		if f.Path {
			return unix.Getxattr(f.path(), name, buf)
		}
		return unix.Fgetxattr(f.N, name, buf)
	})
}

// Names and values have at most 64 KiB, xattr(7).
const maxValue = 64 << 10

// grow calls read with a buffer that is large enough.
func grow(read func([]byte) (int, error)) (string, error) {
	var small [512]byte
	buf := small[:]
	for {
		n, err := read(buf)
		switch {
		case err == unix.EINTR:
		case err == unix.ERANGE && len(buf) < maxValue:
			buf = make([]byte, maxValue)
		case err != nil:
			return "", err
		default:
			return string(buf[:n]), nil
		}
	}
}

// Set sets one attribute, new or not.
func Set(f FD, name, value string) error {
	return uninterrupted(func() error {
		if f.Path {
			return unix.Setxattr(f.path(), name, []byte(value), 0)
		}
		return unix.Fsetxattr(f.N, name, []byte(value), 0)
	})
}

// Remove removes one attribute; one that is not there is no error.
func Remove(f FD, name string) error {
	err := uninterrupted(func() error {
		if f.Path {
			return unix.Removexattr(f.path(), name)
		}
		return unix.Fremovexattr(f.N, name)
	})
	if err == unix.ENODATA {
		return nil
	}
	return err
}

func uninterrupted(f func() error) (err error) {
	for range 1000 {
		if err = f(); err != unix.EINTR {
			return err
		}
	}
	return err
}

// Get returns one attribute. The error is ENODATA if it is not there.
func Get(f FD, name string) (string, error) { return get(f, name) }
