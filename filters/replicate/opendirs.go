package replicate

import (
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

const (
	// maxOpenDirs is how many directories of the source a batch keeps open.
	maxOpenDirs = 128
	// keptDirs and maxKeptDirs bound the directories of a target that a session keeps open: where there are more than
	// maxKeptDirs, all but keptDirs are closed.
	keptDirs    = 256
	maxKeptDirs = 512
	// maxWay is how many of those on the way to a directory are kept open with it.
	maxWay = 128
)

// openDirs keeps directories of a target open, by their keys, those that were used last. Each way to a directory that is
// not kept costs a step for every level, so that whatever is gone through at the same time has to stay.
type openDirs struct {
	dirs  map[weir.Handle]*openDir
	clock int // counts uses
}

// openDir is one of them.
type openDir struct {
	dir  *tree.Dir
	used int
}

// get returns the directory, or nil if it is not kept open.
func (o *openDirs) get(key weir.Handle) *tree.Dir {
	d := o.dirs[key]
	if d == nil {
		return nil
	}
	o.clock++
	d.used = o.clock
	return d.dir
}

// put keeps a directory open that was asked for, or one that is some steps above that: it counts as used long ago, the
// longer the farther, since it serves only who goes on upwards from there.
func (o *openDirs) put(key weir.Handle, dir *tree.Dir, above int) {
	used := o.clock - keptDirs/2 - above
	if above == 0 {
		o.clock++
		used = o.clock
	}
	if o.dirs == nil {
		o.dirs = make(map[weir.Handle]*openDir)
	}
	o.dirs[key] = &openDir{dir, used}
}

// has tells whether a directory is kept open, which is no use of it.
func (o *openDirs) has(key weir.Handle) bool { return o.dirs[key] != nil }

// trim closes those that have not been used for long, if there are many.
func (o *openDirs) trim() {
	if len(o.dirs) <= maxKeptDirs {
		return
	}
	uses := make([]int, 0, len(o.dirs))
	for _, d := range o.dirs {
		uses = append(uses, d.used)
	}
	slices.Sort(uses)
	last := uses[len(uses)-keptDirs]
	for key, d := range o.dirs {
		if d.used < last {
			o.drop(key)
		}
	}
}

// drop closes a directory, if it is kept open.
func (o *openDirs) drop(key weir.Handle) {
	if d := o.dirs[key]; d != nil {
		d.dir.Close()
		delete(o.dirs, key)
	}
}

// forget closes all.
func (o *openDirs) forget() {
	for key := range o.dirs {
		o.drop(key)
	}
}
