package replica

import (
	"maps"
	"slices"

	"github.com/weirfs/weir"
)

// Item is one place to look at: a name, a directory with all its names, a whole tree, or an inode under whatever name
// it has.
type Item struct {
	Dir    weir.Handle
	Name   string      // empty: the directory itself or, with Whole or Tree, its names
	Ops    weir.Ops    // what was reported on the name
	Object weir.Handle // the inode that had the name when that was reported, if it is known; without Dir: an inode
	Whole  bool        // every name in the directory
	Tree   bool        // the directory and all below it
}

// Dirty is a bounded set of places to look at. Adding a place twice leaves it once. When it is full it
// degrades to "this directory", then to "everything", and never loses a place. The zero value is empty
// and bounded by its defaults. It is not safe for concurrent use.
type Dirty struct {
	// MaxNames bounds the names of one directory, MaxDirs the directories, MaxSize the inodes, and the places in all
	// directories beyond one or two for each; 0 means 1,024, 65,536 and 262,144.
	MaxNames, MaxDirs, MaxSize int

	dirs    map[weir.Handle]*dirtyDir
	order   []weir.Handle // in order of first mention; taken from the front
	objects map[weir.Handle]weir.Ops
	all     bool
	size    int // of dirs
}

type dirtyDir struct {
	self, whole, tree bool // tree implies whole
	names             map[string]report
}

// report is what was done under a name, and the last inode to which that was done.
type report struct {
	ops    weir.Ops
	object weir.Handle
}

// Len is the number of places in the set; a whole directory or tree counts as one.
func (d *Dirty) Len() int {
	n := d.size + len(d.objects)
	if d.all {
		n++
	}
	return n
}

// All reports, once, whether everything has to be looked at.
func (d *Dirty) All() bool {
	all := d.all
	d.all = false
	return all
}

// AddAll empties the set in favour of everything.
func (d *Dirty) AddAll() {
	d.dirs, d.order, d.objects, d.size = nil, nil, nil, 0
	d.all = true
}

// Add adds an item. An inode that is not the last one under its name, or whose name is merged into its directory, is
// looked at by itself.
func (d *Dirty) Add(i Item) {
	if i.Dir == "" {
		d.addObject(report{i.Ops, i.Object})
		return
	}
	dir := d.dirs[i.Dir]
	if dir == nil {
		if len(d.dirs) >= orDefault(d.MaxDirs, 65536) {
			d.AddAll()
			return
		}
		if d.dirs == nil {
			d.dirs = make(map[weir.Handle]*dirtyDir)
		}
		dir = new(dirtyDir)
		d.dirs[i.Dir] = dir
		d.order = append(d.order, i.Dir)
	}
	before, room := dir.len(), orDefault(d.MaxNames, 1024)
	if d.size >= orDefault(d.MaxSize, 1<<18) {
		room = 0
	}
	apart := dir.add(i, room)
	d.size += dir.len() - before
	for _, r := range apart {
		d.addObject(r)
	}
}

func (d *Dirty) addObject(r report) {
	_, known := d.objects[r.object]
	switch {
	case r.object == "":
		return
	case !known && len(d.objects) >= orDefault(d.MaxSize, 1<<18):
		d.AddAll()
		return
	case d.objects == nil:
		d.objects = make(map[weir.Handle]weir.Ops)
	}
	d.objects[r.object] |= r.ops
}

func orDefault(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

func (d *dirtyDir) len() int {
	n := len(d.names)
	if d.self {
		n++
	}
	if d.whole {
		n++
	}
	return n
}

// add returns what was reported on inodes and is not kept.
func (d *dirtyDir) add(i Item, maxNames int) (apart []report) {
	switch {
	case i.Tree || i.Whole:
		d.tree, d.whole, d.self = d.tree || i.Tree, true, false
	case i.Name == "":
		d.self = !d.whole
	case d.whole && i.Ops == 0:
	case len(d.names) >= maxNames:
		apart = append(slices.Collect(maps.Values(d.names)), report{i.Ops, i.Object})
		d.whole, d.self, d.names = true, false, nil
	default:
		// A name with its operations is kept beside a whole directory: a modification that moved no
		// time stamp shows in the operations alone.
		if d.names == nil {
			d.names = make(map[string]report)
		}
		r := d.names[i.Name]
		if i.Object != "" {
			if r.object != "" && r.object != i.Object {
				apart = append(apart, r)
			}
			r.object = i.Object
		}
		r.ops |= i.Ops
		d.names[i.Name] = r
	}
	return apart
}

// Take removes directories from the front until it has about max places, and returns their items, those
// of one directory together. Inodes come when no directory is left, since under a name they may have been looked at.
func (d *Dirty) Take(max int) []Item {
	var items []Item
	for len(items) < max && len(d.order) > 0 {
		key := d.order[0]
		d.order = d.order[1:]
		dir := d.dirs[key]
		delete(d.dirs, key)
		d.size -= dir.len()
		if dir.whole {
			items = append(items, Item{Dir: key, Tree: dir.tree, Whole: true})
		}
		if dir.self {
			items = append(items, Item{Dir: key})
		}
		for name, r := range dir.names {
			items = append(items, Item{Dir: key, Name: name, Ops: r.ops, Object: r.object})
		}
	}
	if len(items) == 0 {
		for object, ops := range d.objects {
			if len(items) == max {
				break
			}
			items = append(items, Item{Object: object, Ops: ops})
			delete(d.objects, object)
		}
	}
	if len(d.order) == 0 {
		d.order = nil
	}
	return items
}
