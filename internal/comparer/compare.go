package comparer

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Difference is one thing in which two trees are not equal.
type Difference struct {
	Path string // relative to both roots; "." is the root
	What string // name, type, content, size, owner, mode, mtime, xattr, links, target, rdev or holes
	A, B string // how it is in each tree, in words
}

// String prints the difference on one line, whatever bytes are in the names.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %q: %s, %s", d.What, d.Path, d.A, d.B)
}

// Options changes what is compared. The zero value compares everything.
type Options struct {
	// Skip leaves out a path, relative to the roots, and what is below it, in both trees.
	Skip func(path string) bool
}

// comparison is the state of one call of Compare.
type comparison struct {
	options Options
	found   []Difference
	links   [2]map[inode][]string // names of files with more than one, by tree
	buffers [2][]byte
}

// inode identifies a file within a tree.
type inode struct{ device, number uint64 }

// side is one directory, or one entry of it, in one of the trees.
type side struct {
	dir  int    // descriptor of the directory that holds the entry
	name string // "." for the root
	stat unix.Stat_t
}

// Compare returns how the tree at b differs from the tree at a, in the order of names, and what is
// missing as one difference however much is below it. It leaves out a replica's own directory, .weir, at
// the roots of the trees and of subvolumes in them, and lost+found at the root of an ext file system.
func Compare(a, b string, options Options) ([]Difference, error) {
	c := &comparison{options: options}
	var roots [2]side
	for i, path := range []string{a, b} {
		root, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		defer unix.Close(root)
		roots[i] = side{dir: root, name: "."}
		if err := unix.Fstat(root, &roots[i].stat); err != nil {
			return nil, &os.PathError{Op: "stat", Path: path, Err: err}
		}
		c.links[i] = map[inode][]string{}
		c.buffers[i] = make([]byte, 256<<10)
	}
	if err := c.entry(".", roots[0], roots[1]); err != nil {
		return nil, err
	}
	c.compareLinks()
	slices.SortStableFunc(c.found, func(x, y Difference) int { return strings.Compare(x.Path, y.Path) })
	return c.found, nil
}

func (c *comparison) differ(path, what, a, b string) {
	c.found = append(c.found, Difference{path, what, a, b})
}

// entry compares what has the same name in both trees.
func (c *comparison) entry(path string, a, b side) error {
	x, y := a.stat, b.stat
	if x.Mode&unix.S_IFMT != y.Mode&unix.S_IFMT {
		c.differ(path, "type", typeName(x.Mode), typeName(y.Mode))
		return nil
	}
	c.compareStat(path, a, b)
	if err := c.compareXattrs(path, a, b); err != nil {
		return err
	}
	switch x.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.directory(path, a, b)
	case unix.S_IFREG:
		c.rememberLinks(path, x, y)
		return c.compareFiles(path, a, b)
	case unix.S_IFLNK:
		c.rememberLinks(path, x, y)
		return c.compareTargets(path, a, b)
	case unix.S_IFBLK, unix.S_IFCHR:
		if x.Rdev != y.Rdev {
			c.differ(path, "rdev", deviceNumber(x.Rdev), deviceNumber(y.Rdev))
		}
	}
	c.rememberLinks(path, x, y)
	return nil
}

func (c *comparison) compareStat(path string, a, b side) {
	x, y := a.stat, b.stat
	if x.Uid != y.Uid || x.Gid != y.Gid {
		c.differ(path, "owner", fmt.Sprintf("%d:%d", x.Uid, x.Gid), fmt.Sprintf("%d:%d", y.Uid, y.Gid))
	}
	if p, q := x.Mode&0o7777, y.Mode&0o7777; p != q {
		c.differ(path, "mode", fmt.Sprintf("%04o", p), fmt.Sprintf("%04o", q))
	}
	if x.Mtim != y.Mtim && !isPlaceholder(a) && !isPlaceholder(b) {
		c.differ(path, "mtime", timeText(x.Mtim), timeText(y.Mtim))
	}
}

// isPlaceholder knows the directory that a snapshot of btrfs has in place of a subvolume by its inode number,
// BTRFS_EMPTY_SUBVOL_DIR_OBJECTID. Its time is the present one at each look.
func isPlaceholder(s side) bool {
	if s.stat.Mode&unix.S_IFMT != unix.S_IFDIR || s.stat.Ino != 2 {
		return false
	}
	var fs unix.Statfs_t
	var stat unix.Statx_t
	return unix.Fstatfs(s.dir, &fs) == nil && fs.Type == unix.BTRFS_SUPER_MAGIC &&
		unix.Statx(s.dir, s.name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &stat) == nil && stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0
}

func timeText(t unix.Timespec) string { return fmt.Sprintf("%d.%09d", t.Sec, t.Nsec) }

func deviceNumber(rdev uint64) string {
	return fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev))
}

func typeName(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFBLK:
		return "a block device"
	case unix.S_IFCHR:
		return "a character device"
	}
	return fmt.Sprintf("type %#o", mode&unix.S_IFMT)
}
