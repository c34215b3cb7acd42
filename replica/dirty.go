package replica

import "github.com/weirfs/weir"

// Item is one place to look at: a name, a directory with all its names, a whole tree, or everything.
type Item struct {
	Dir   weir.Handle
	Name  string   // empty: the directory itself or, with Whole or Tree, its names
	Ops   weir.Ops // what was reported on the name
	Whole bool     // every name in the directory
	Tree  bool     // the directory and all below it
}

// Dirty is a bounded set of places to look at. Adding a place twice leaves it once. When it is full it
// degrades to "this directory", then to "everything", and never loses a place. The zero value is empty
// and bounded by its defaults. It is not safe for concurrent use.
type Dirty struct {
	// MaxNames bounds the names of one directory, MaxDirs the directories, MaxSize the places in all of them beyond
	// one or two for each directory; 0 means 1,024, 65,536 and 262,144.
	MaxNames, MaxDirs, MaxSize int

	dirs  map[weir.Handle]*dirtyDir
	order []weir.Handle // in order of first mention; taken from the front
	all   bool
	size  int
}

type dirtyDir struct {
	self, whole, tree bool // tree implies whole
	names             map[string]weir.Ops
}

// Len is the number of places in the set; a whole directory or tree counts as one.
func (d *Dirty) Len() int {
	if d.all {
		return d.size + 1
	}
	return d.size
}

// All reports, once, whether everything has to be looked at.
func (d *Dirty) All() bool {
	all := d.all
	d.all = false
	return all
}

// AddAll empties the set in favour of everything.
func (d *Dirty) AddAll() {
	d.dirs, d.order, d.size = nil, nil, 0
	d.all = true
}

// Add adds an item.
func (d *Dirty) Add(i Item) {
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
	dir.add(i, room)
	d.size += dir.len() - before
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

func (d *dirtyDir) add(i Item, maxNames int) {
	switch {
	case i.Tree || i.Whole:
		d.tree, d.whole, d.self = d.tree || i.Tree, true, false
	case i.Name == "":
		d.self = !d.whole
	case d.whole && i.Ops == 0:
	case len(d.names) >= maxNames:
		d.whole, d.self, d.names = true, false, nil
	default:
		// A name with its operations is kept beside a whole directory: a modification that moved no
		// time stamp shows in the operations alone.
		if d.names == nil {
			d.names = make(map[string]weir.Ops)
		}
		d.names[i.Name] |= i.Ops
	}
}

// Take removes directories from the front until it has about max places, and returns their items, those
// of one directory together.
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
		for name, ops := range dir.names {
			items = append(items, Item{Dir: key, Name: name, Ops: ops})
		}
	}
	if len(d.order) == 0 {
		d.order = nil
	}
	return items
}
