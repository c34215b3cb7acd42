package comparer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (c *comparison) compareXattrs(path string, a, b side) error {
	x, err := xattrs(a)
	if err != nil {
		return fmt.Errorf("%q in the first tree: %w", path, err)
	}
	y, err := xattrs(b)
	if err != nil {
		return fmt.Errorf("%q in the second tree: %w", path, err)
	}
	var names []string
	for name := range x {
		names = append(names, name)
	}
	for name := range y {
		if _, both := x[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		p, inA := x[name]
		q, inB := y[name]
		if inA != inB || p != q {
			c.differ(path, "xattr", xattrText(name, p, inA), xattrText(name, q, inB))
		}
	}
	return nil
}

func xattrText(name, value string, there bool) string {
	if !there {
		return "no " + strconv.Quote(name)
	}
	if len(value) > 40 {
		return fmt.Sprintf("%q of %d bytes from %q", name, len(value), value[:40])
	}
	return fmt.Sprintf("%q=%q", name, value)
}

// xattrs reads all extended attributes through the directory's link in /proc, as there are no calls
// that take a directory and a name. A file system that has none gives none.
func xattrs(s side) (map[string]string, error) {
	path := "/proc/self/fd/" + strconv.Itoa(s.dir) + "/" + s.name
	list, err := grow(func(b []byte) (int, error) { return unix.Llistxattr(path, b) })
	if errors.Is(err, unix.EOPNOTSUPP) || len(list) == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	values := map[string]string{}
	for _, name := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if isShadow(name) {
			continue
		}
		value, err := grow(func(b []byte) (int, error) { return unix.Lgetxattr(path, name, b) })
		if err != nil {
			return nil, fmt.Errorf("read extended attribute %q: %w", name, err)
		}
		values[name] = string(value)
	}
	return values, nil
}

// isShadow knows the names under which xfs shows root a second time, in its own format, what it shows as
// system.posix_acl_access and system.posix_acl_default.
func isShadow(name string) bool {
	return name == "trusted.SGI_ACL_FILE" || name == "trusted.SGI_ACL_DEFAULT"
}

// grow calls get with a larger buffer until the answer fits.
func grow(get func([]byte) (int, error)) ([]byte, error) {
	for size := 512; ; size *= 8 {
		buffer := make([]byte, size)
		n, err := get(buffer)
		if errors.Is(err, unix.ERANGE) && size < 1<<20 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buffer[:n], nil
	}
}
