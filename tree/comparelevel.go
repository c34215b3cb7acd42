package tree

import (
	"fmt"

	"github.com/weirfs/weir/internal/sys/at"
)

// side is one of the two trees.
type side int

const (
	sideA side = iota
	sideB
)

// String returns "A" or "B".
func (s side) String() string { return string(rune('A' + s)) }

// opened is how many levels keep their directories open, two descriptors each. Above them, in a deeper tree, a
// level is listed to its end before its directories are closed, and found again from below.
const opened = 128

// level is one directory on the way down, on both sides.
type level struct {
	name    string
	dir     [2]*Dir // nil while closed
	stat    [2]at.Stat
	side    side // whose names are being listed
	list    lister
	done    bool     // both sides have been listed
	pending []string // directories below that were met and not entered yet
}

// newLevel takes both directories over, also when it fails.
func newLevel(name string, a, b *Dir) (*level, error) {
	l := &level{name: name, dir: [2]*Dir{a, b}, list: lister{dir: a}}
	for s, d := range l.dir {
		var err error
		if l.stat[s], err = at.StatFD(d.FD()); err != nil {
			l.close()
			return nil, fmt.Errorf("%s: stat: %w", side(s), err)
		}
	}
	return l, nil
}

func (l *level) close() {
	for s, d := range l.dir {
		if d != nil {
			d.Close()
			l.dir[s] = nil
		}
	}
}

// down enters a directory that exists on both sides.
func (c *comparison) down(l *level, name string) {
	a, err := l.dir[sideA].openDir(name, at.Beneath)
	if err != nil {
		c.unreadable(name, fmt.Errorf("first tree: %w", err))
		return
	}
	b, err := l.dir[sideB].openDir(name, at.Beneath)
	if err != nil {
		a.Close()
		c.unreadable(name, fmt.Errorf("second tree: %w", err))
		return
	}
	next, err := newLevel(name, a, b)
	if err != nil {
		c.unreadable(name, err)
		return
	}
	if depth := len(c.levels); depth > opened {
		c.rest(depth - opened)
	}
	c.levels = append(c.levels, next)
}

// rest finishes the listing of one level far above and closes its directories.
func (c *comparison) rest(depth int) {
	below := c.levels[depth+1:]
	c.levels = c.levels[:depth+1]
	l := c.levels[depth]
	for !l.done {
		c.names(l)
	}
	l.close()
	l.list = lister{}
	c.levels = append(c.levels, below...)
}

// up leaves a level that has been compared. The level above is opened again from below if it was closed; if that
// leads elsewhere by now, what is left of it cannot be compared.
func (c *comparison) up(l *level) {
	c.levels = c.levels[:len(c.levels)-1]
	defer l.close()
	if len(c.levels) == 0 {
		return
	}
	above := c.levels[len(c.levels)-1]
	if above.dir[sideA] != nil {
		return
	}
	for s, d := range l.dir {
		parent, err := d.returnTo(above.stat[s])
		if err != nil {
			c.unreadable("", fmt.Errorf("%s: return to directory: %w", side(s), err))
			above.close()
			above.pending = nil
			c.abandon()
			return
		}
		above.dir[s] = parent
	}
}

// abandon gives up the levels that can only be reached from the one that was lost.
func (c *comparison) abandon() {
	for len(c.levels) > 0 && c.levels[len(c.levels)-1].dir[sideA] == nil {
		c.levels = c.levels[:len(c.levels)-1]
	}
}

// returnTo opens the directory above d if it still is the expected one.
func (d *Dir) returnTo(expected at.Stat) (*Dir, error) {
	p, err := d.Parent()
	if err != nil {
		return nil, err
	}
	s, err := at.StatFD(p.FD())
	if err == nil && (s.Dev != expected.Dev || s.Ino != expected.Ino || s.Birth != expected.Birth) {
		err = ErrReplaced
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}
