package comparer

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// directory compares the names in two directories and then each entry. It goes from descriptor to
// descriptor, so that no path is too long; one descriptor per tree and level is open meanwhile.
func (c *comparison) directory(path string, a, b side) error {
	var names [2][]string
	var dirs [2]int
	for i, s := range []side{a, b} {
		dir, err := unix.Openat(s.dir, s.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NOATIME|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		defer unix.Close(dir)
		dirs[i] = dir
		if names[i], err = readNames(dir, path); err != nil {
			return err
		}
		names[i] = c.withoutOwn(path, s, dir, names[i])
	}
	return c.merge(path, dirs, names)
}

// merge walks two sorted lists of names side by side.
func (c *comparison) merge(path string, dirs [2]int, names [2][]string) error {
	for len(names[0]) > 0 || len(names[1]) > 0 {
		name, inA, inB := smallest(names[0], names[1])
		if inA {
			names[0] = names[0][1:]
		}
		if inB {
			names[1] = names[1][1:]
		}
		child := below(path, name)
		if c.options.Skip != nil && c.options.Skip(child) {
			continue
		}
		if !inA || !inB {
			c.differ(child, "name", presence(inA), presence(inB))
			continue
		}
		a, b := side{dir: dirs[0], name: name}, side{dir: dirs[1], name: name}
		for _, s := range []*side{&a, &b} {
			if err := unix.Fstatat(s.dir, name, &s.stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return &os.PathError{Op: "stat", Path: child, Err: err}
			}
		}
		if err := c.entry(child, a, b); err != nil {
			return err
		}
	}
	return nil
}

func below(path, name string) string {
	if path == "." {
		return name
	}
	return path + "/" + name
}

// smallest returns the first name of both lists, and which of them begins with it.
func smallest(a, b []string) (name string, inA, inB bool) {
	switch {
	case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
		return a[0], true, false
	case len(a) == 0 || b[0] < a[0]:
		return b[0], false, true
	}
	return a[0], true, true
}

func presence(there bool) string {
	if there {
		return "present"
	}
	return "missing"
}

func readNames(dir int, path string) ([]string, error) {
	var names []string
	buffer := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(dir, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "list", Path: path, Err: err}
		}
		if n == 0 {
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
}

// withoutOwn takes out what belongs to a volume or to weir and not to the tree.
func (c *comparison) withoutOwn(path string, s side, dir int, names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		switch name {
		case ".weir":
			return path == "." || isSubvolume(s.stat)
		case "lost+found":
			return isExtRoot(dir)
		}
		return false
	})
}

// isSubvolume knows the root of a btrfs subvolume by its inode number, BTRFS_FIRST_FREE_OBJECTID.
func isSubvolume(stat unix.Stat_t) bool { return stat.Ino == 256 }

// isExtRoot knows the root of an ext file system by its inode number, EXT4_ROOT_INO.
func isExtRoot(dir int) bool {
	var fs unix.Statfs_t
	var stat unix.Stat_t
	return unix.Fstatfs(dir, &fs) == nil && fs.Type == unix.EXT4_SUPER_MAGIC && unix.Fstat(dir, &stat) == nil && stat.Ino == 2
}

// rememberLinks notes the names of files that have several.
func (c *comparison) rememberLinks(path string, x, y unix.Stat_t) {
	for i, stat := range []unix.Stat_t{x, y} {
		if stat.Nlink > 1 {
			id := inode{stat.Dev, stat.Ino}
			c.links[i][id] = append(c.links[i][id], path)
		}
	}
}

// compareLinks compares, for every name, the first name of its group in each tree: the groups are the
// same exactly if those are, since names come in one order.
func (c *comparison) compareLinks() {
	var firsts [2]map[string]string
	for i := range firsts {
		firsts[i] = map[string]string{}
		for _, group := range c.links[i] {
			for _, name := range group[1:] {
				firsts[i][name] = group[0]
			}
		}
	}
	for name, first := range firsts[0] {
		if firsts[1][name] != first {
			c.differ(name, "links", linkText(first), linkText(firsts[1][name]))
		}
	}
	for name, first := range firsts[1] {
		if firsts[0][name] == "" {
			c.differ(name, "links", linkText(""), linkText(first))
		}
	}
}

func linkText(first string) string {
	if first == "" {
		return "a file of its own"
	}
	return fmt.Sprintf("one file with %q", first)
}
