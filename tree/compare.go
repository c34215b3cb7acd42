package tree

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/replica"
)

// Difference is one thing in which two trees differ.
type Difference struct {
	Path string // below both roots, "." for the roots themselves; any bytes
	What string // "name", "type", "mode", "owner", "size", "mtime", "content", "holes", "text", "device", "hard link", "xattr NAME"
	A, B string // what each side has, in words, safe to print
}

// CompareOptions says how Compare compares.
type CompareOptions struct {
	// Content compares the bytes of files that have the same size. Without it, files of equal size and
	// time of modification count as equal.
	Content bool

	// Report is called for each difference.
	Report func(Difference)

	// Unreadable is called for each part that could not be compared. path is as in Difference.
	Unreadable func(path string, err error)
}

// CompareResult counts what Compare has seen.
type CompareResult struct {
	Objects     int64 `json:"objects"` // names that exist on both sides, the roots included
	Differences int64 `json:"differences"`
	Unreadable  int64 `json:"unreadable"`
}

// private is the directory at the root of a target that is no part of the tree.
const private = ".weir"

// LostFound is the directory at the root of an ext file system that belongs to fsck(8); see Dir.ForFsck.
const LostFound = "lost+found"

// Compare compares every attribute of two trees: names, types, sizes, owners, the 12 permission bits, times of
// modification, extended attributes and access control lists, texts of symbolic links, numbers of devices, and
// content where asked for. Mounts below the roots belong to the trees. A directory ".weir" at a root, and
// "lost+found" at the root of an ext file system, do not.
// A snapshot of btrfs has an empty directory in place of each subvolume in the original: its time is the present one at
// each look, and is not compared.
//
// Hard links differ if two names that lead to one inode on one side, on one mount, lead to two on the other.
// Holes differ if a file has at least 64 KiB of holes in a and less than half as much in b: file systems
// differ in where they make holes of their own accord.
//
// Names are compared in the order of the directories, and nothing is kept but the way down from the roots and
// one entry per inode that has several names. The error is only about ctx and the roots.
func Compare(ctx context.Context, a, b *Dir, o CompareOptions) (CompareResult, error) {
	c := comparison{ctx: ctx, options: o, links: newLinks()}
	defer c.close()
	if err := c.begin(a, b); err != nil {
		return c.result, err
	}
	for len(c.levels) > 0 {
		if err := ctx.Err(); err != nil {
			return c.result, err
		}
		c.step()
	}
	return c.result, nil
}

// comparison is one run of Compare.
type comparison struct {
	ctx     context.Context
	options CompareOptions
	result  CompareResult
	levels  []*level // from the roots down
	links   links
}

func (c *comparison) close() {
	for _, l := range c.levels {
		l.close()
	}
}

func (c *comparison) begin(a, b *Dir) error {
	own, err := a.again()
	if err != nil {
		return err
	}
	other, err := b.again()
	if err != nil {
		own.Close()
		return err
	}
	l, err := newLevel("", own, other)
	if err != nil {
		return err
	}
	c.levels = append(c.levels, l)
	c.result.Objects++
	c.attributes("", l.stat[sideA], l.stat[sideB])
	return nil
}

// step does a little work at the deepest level: some names, or one level down or up.
func (c *comparison) step() {
	l := c.levels[len(c.levels)-1]
	if last := len(l.pending) - 1; last >= 0 {
		name := l.pending[last]
		l.pending = l.pending[:last]
		c.down(l, name)
		return
	}
	if l.done {
		c.up(l)
		return
	}
	c.names(l)
}

// names compares the next names of a level: all of a's first, then those that only b has.
func (c *comparison) names(l *level) {
	entries, err := l.list.next()
	if err != nil {
		c.unreadable("", fmt.Errorf("%s: %w", l.side, err))
	}
	for _, e := range entries {
		if !c.foreign(l, e.Name) {
			c.name(l, e.Name)
		}
	}
	if len(entries) > 0 {
		return
	}
	if l.side == sideA {
		l.side, l.list.dir = sideB, l.dir[sideB]
		return
	}
	l.done = true
}

// foreign reports whether a name is no part of the tree.
func (c *comparison) foreign(l *level, name string) bool {
	return name == private && len(c.levels) == 1 || l.dir[l.side].ForFsck(name)
}

// name compares what one name leads to on both sides. On b's side only absence on a's is news.
func (c *comparison) name(l *level, name string) {
	here, err := at.StatName(l.dir[l.side].FD(), name)
	if err == syscall.ENOENT {
		return // it went after it was listed
	}
	if err != nil {
		c.unreadable(name, fmt.Errorf("%s: stat: %w", l.side, err))
		return
	}
	there, err := at.StatName(l.dir[1-l.side].FD(), name)
	switch {
	case cannotBe(err):
		c.only(l.side, name, here)
	case err != nil && l.side == sideA:
		c.unreadable(name, fmt.Errorf("%s: stat: %w", 1-l.side, err))
	case err == nil && l.side == sideA:
		c.pair(l, name, here, there)
	}
}

// cannotBe reports whether an error says that a directory has no such name: it is absent, or none that the file system
// could store.
func cannotBe(err error) bool {
	return err == syscall.ENOENT || err == syscall.EINVAL || err == syscall.EILSEQ || err == syscall.ENAMETOOLONG
}

func (c *comparison) only(s side, name string, has at.Stat) {
	values := [2]string{"nothing", "nothing"}
	values[s] = typeName(has.Mode)
	c.report(name, "name", values[sideA], values[sideB])
}

func (c *comparison) pair(l *level, name string, a, b at.Stat) {
	c.result.Objects++
	if typeOf(a) != typeOf(b) {
		c.report(name, "type", typeName(a.Mode), typeName(b.Mode))
		return
	}
	c.attributes(name, a, b)
	if typeOf(a) == replica.TypeDir {
		l.pending = append(l.pending, name)
		return
	}
	if a.Nlink > 1 || b.Nlink > 1 {
		c.hardLink(name, a, b)
	}
}

// path joins the way down and a name, which is empty for the directory itself.
func (c *comparison) path(name string) string {
	var parts []string
	for _, l := range c.levels[1:] {
		parts = append(parts, l.name)
	}
	if name != "" {
		parts = append(parts, name)
	}
	if len(parts) == 0 {
		return "."
	}
	return strings.Join(parts, "/")
}

func (c *comparison) report(name, what, a, b string) {
	c.result.Differences++
	c.options.Report(Difference{c.path(name), what, a, b})
}

func (c *comparison) unreadable(name string, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	c.result.Unreadable++
	c.options.Unreadable(c.path(name), err)
}
