package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/replica"
)

// attributes compares two objects of one type; name is empty for the directories of the deepest level.
func (c *comparison) attributes(name string, a, b at.Stat) {
	typ := typeOf(a)
	if a.Mode != b.Mode && typ != replica.TypeLink {
		c.report(name, "mode", showMode(a), showMode(b))
	}
	if a.UID != b.UID || a.GID != b.GID {
		c.report(name, "owner", showOwner(a), showOwner(b))
	}
	if a.Mtime != b.Mtime && !c.timeless(a, b) {
		c.report(name, "mtime", showTime(replica.Time(a.Mtime)), showTime(replica.Time(b.Mtime)))
	}
	c.xattrs(name)
	switch typ {
	case replica.TypeFile:
		c.file(name, a, b)
	case replica.TypeLink:
		c.text(name)
	case replica.TypeChar, replica.TypeBlock:
		if a.Rdev != b.Rdev {
			c.report(name, "device", showDevice(a.Rdev), showDevice(b.Rdev))
		}
	}
}

// timeless reports whether the time of one of two objects at the deepest level is none that anybody has set.
func (c *comparison) timeless(a, b at.Stat) bool {
	dir := c.levels[len(c.levels)-1].dir
	return isPlaceholder(dir[sideA].FD(), a) || isPlaceholder(dir[sideB].FD(), b)
}

// both calls read for a and b, and tells whether both could be read. What has gone meanwhile is passed over.
func both[T any](c *comparison, name string, read func(*Dir) (T, error)) (values [2]T, ok bool) {
	l := c.levels[len(c.levels)-1]
	for s, d := range l.dir {
		var err error
		if values[s], err = read(d); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				c.unreadable(name, fmt.Errorf("%s: %w", side(s), err))
			}
			return values, false
		}
	}
	return values, true
}

func (c *comparison) xattrs(name string) {
	x, ok := both(c, name, func(d *Dir) (Xattrs, error) { return d.Xattrs(name) })
	if !ok || maps.Equal(x[sideA], x[sideB]) {
		return
	}
	names := map[string]bool{}
	for _, side := range x {
		for attribute := range side {
			names[attribute] = true
		}
	}
	for _, attribute := range slices.Sorted(maps.Keys(names)) {
		a, inA := x[sideA][attribute]
		b, inB := x[sideB][attribute]
		if a != b || inA != inB {
			a, b = showXattrs(attribute, [2]string{a, b}, [2]bool{inA, inB})
			c.report(name, "xattr "+attribute, a, b)
		}
	}
}

func (c *comparison) text(name string) {
	text, ok := both(c, name, func(d *Dir) (string, error) { return d.Readlink(name) })
	if ok && text[sideA] != text[sideB] {
		a, b := showTwo(text[sideA], text[sideB])
		c.report(name, "text", a, b)
	}
}

func (c *comparison) file(name string, a, b at.Stat) {
	if a.Size != b.Size {
		c.report(name, "size", showSize(a.Size), showSize(b.Size))
		return
	}
	holes := suspicious(a, b)
	if !holes && !(c.options.Content && a.Size > 0) {
		return
	}
	// A file that has been opened before its twin could not be must be closed.
	f, ok := both(c, name, func(d *Dir) (*File, error) { return d.openFile(name, at.Beneath) })
	for _, file := range f {
		if file != nil {
			defer file.Close()
		}
	}
	if !ok {
		return
	}
	if holes {
		c.holes(name, f)
	}
	if c.options.Content {
		c.content(name, f)
	}
}

func (c *comparison) content(name string, f [2]*File) {
	offset, err := firstDifference(c.ctx, f[sideA], f[sideB], nil)
	if err != nil {
		c.unreadable(name, err)
		return
	}
	if offset >= 0 {
		c.report(name, "content", showByte(f[sideA], offset), showByte(f[sideB], offset))
	}
}

// leastHole is the least total of holes, in bytes, that is worth a difference: the largest block of the file
// systems of Linux.
const leastHole = 64 << 10

// suspicious tells by the allocated blocks alone whether a may have holes that b lacks.
func suspicious(a, b at.Stat) bool {
	return lacksHoles([2]int64{a.Size - a.Blocks*512, b.Size - b.Blocks*512})
}

// lacksHoles tells by the totals of their holes whether a has some that b lacks.
func lacksHoles(total [2]int64) bool {
	return total[sideA] >= leastHole && total[sideB] < total[sideA]/2
}

// LacksHoles reports whether a has holes that b lacks, by the measure of Compare.
func LacksHoles(a, b *File) (bool, error) {
	var stat [2]at.Stat
	var total [2]int64
	var err error
	for s, file := range [2]*File{a, b} {
		if stat[s], err = at.StatFD(file.FD()); err != nil {
			return false, fmt.Errorf("stat: %w", err)
		}
	}
	if !suspicious(stat[sideA], stat[sideB]) {
		return false, nil
	}
	for s, file := range [2]*File{a, b} {
		if total[s], err = holeBytes(file); err != nil {
			return false, fmt.Errorf("find holes: %w", err)
		}
	}
	return lacksHoles(total), nil
}

// holes looks where the holes are: blocks alone do not tell, since some file systems allocate behind the end.
func (c *comparison) holes(name string, f [2]*File) {
	var total [2]int64
	for s, file := range f {
		var err error
		if total[s], err = holeBytes(file); err != nil {
			c.unreadable(name, fmt.Errorf("%s: find holes: %w", side(s), err))
			return
		}
	}
	if lacksHoles(total) {
		c.report(name, "holes", showSize(total[sideA]), showSize(total[sideB]))
	}
}

// links are the inodes with several names that have been met, by side, and how they pair.
type links struct {
	met [2]map[inode]met
}

// inode identifies an inode on one mount.
type inode struct{ mount, dev, ino uint64 }

// met is where an inode was met first, and its twin there.
type met struct {
	path string
	twin inode
}

func newLinks() links {
	return links{[2]map[inode]met{{}, {}}}
}

// hardLink pairs two inodes, at least one of which has several names. They were linked in the same way if each
// has the twin that it had at its first name.
func (c *comparison) hardLink(name string, a, b at.Stat) {
	nodes := [2]inode{{a.Mount, a.Dev, a.Ino}, {b.Mount, b.Dev, b.Ino}}
	path := c.path(name)
	for s := range nodes {
		first, known := c.links.met[s][nodes[s]]
		if !known {
			c.links.met[s][nodes[s]] = met{path, nodes[1-s]}
			continue
		}
		if first.twin != nodes[1-s] {
			values := [2]string{}
			values[s] = "a link to " + showBytes(first.path)
			values[1-s] = "another file"
			c.report(name, "hard link", values[sideA], values[sideB])
		}
	}
}
