package index

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/weirfs/weir"
)

// Replica is what one target holds of one place. It is safe for concurrent use, and shows what is
// committed.
type Replica struct {
	db    *DB
	id    uint32
	nodes atomic.Int64

	version atomic.Uint64 // moves before and after each commit that changes nodes or names
}

// ID returns the number that the replica was opened with.
func (r *Replica) ID() uint32 { return r.id }

// Get returns the node that belongs to a source inode, and whether there is one.
func (r *Replica) Get(key weir.Handle) (n Node, found bool, err error) {
	err = r.view(func(v view) error {
		n, found, err = v.get(key)
		return err
	})
	return n, found, err
}

// GetAll calls fn for those of the nodes that exist, in order of their keys, until fn returns an error, which is
// returned as it is. It sorts keys. For many it costs half as much as Get, or less.
func (r *Replica) GetAll(keys []weir.Handle, fn func(Node) error) error {
	slices.Sort(keys)
	return r.view(func(v view) error { return v.getAll(keys, fn) })
}

// Child returns which source inode the name leads to, and whether there is one.
func (r *Replica) Child(parent weir.Handle, name string) (key weir.Handle, found bool, err error) {
	err = r.view(func(v view) error {
		key, found, err = v.child(Name{Parent: parent, Name: name})
		return err
	})
	return key, found, err
}

// Children calls fn for each entry of a directory whose name is behind after in byte order, until fn
// returns false or an error, which is returned as it is. An empty after begins at the first entry. fn sees
// the directory as it was when Children began, and may commit changes to it meanwhile.
func (r *Replica) Children(parent weir.Handle, after string, fn func(name string, key weir.Handle) (more bool, err error)) error {
	return r.view(func(v view) error { return v.children(parent, after, fn) })
}

// NamesOf calls fn for each name of a node, wherever they are kept, until fn returns false or an error,
// which is returned as it is. A node that does not exist has none.
func (r *Replica) NamesOf(key weir.Handle, fn func(Name) (more bool, err error)) error {
	return r.view(func(v view) error { return v.namesOf(key, fn) })
}

// Nodes calls fn for each node whose key is behind after in byte order, until fn returns false or an
// error, which is returned as it is. An empty after begins at the first node.
func (r *Replica) Nodes(after weir.Handle, fn func(Node) (more bool, err error)) error {
	return r.view(func(v view) error { return v.nodes(after, fn) })
}

// Sample returns up to n nodes that are spread over the range of keys, in order of their keys: all if there
// are no more, and possibly fewer than n where keys are close together. It costs at most n seeks, whatever
// the number of nodes.
func (r *Replica) Sample(n int) (nodes []Node, err error) {
	err = r.view(func(v view) error {
		if int64(n) < r.nodes.Load() {
			nodes, err = v.sample(n)
			return err
		}
		return v.nodes("", func(n Node) (bool, error) {
			nodes = append(nodes, n)
			return true, nil
		})
	})
	return nodes, err
}

// Count returns the number of nodes. It reads memory only.
func (r *Replica) Count() (nodes int64, err error) { return r.nodes.Load(), nil }

// Version tells whether anything has changed: what was read of nodes and names after one call is as it was if a later
// call returns the same. It reads memory only, and means nothing to another process.
func (r *Replica) Version() uint64 { return r.version.Load() }

// Meta returns a value of the replica, or nil if it is not set.
func (r *Replica) Meta(key string) (value []byte, err error) {
	err = r.view(func(v view) error {
		value, err = get(v.reader, v.keys.value(key))
		return wrap("read a value", err)
	})
	return value, err
}

// MetaRange calls fn for each value of the replica whose key begins with prefix, in byte order of the
// keys, until fn returns false or an error, which is returned as it is. fn owns value.
func (r *Replica) MetaRange(prefix string, fn func(key string, value []byte) (more bool, err error)) error {
	return r.view(func(v view) error {
		from := v.keys.value(prefix)
		skip := len(from) - len(prefix)
		return v.scan("list values", from, after(from), func(key, value []byte) (bool, error) {
			return fn(string(key[skip:]), bytes.Clone(value))
		})
	})
}

// NewBatch begins a set of changes that is committed at once. It must end with Commit or Close.
func (r *Replica) NewBatch() *Batch {
	return newBatch(r)
}

// view runs fn with the engine kept open.
func (r *Replica) view(fn func(view) error) error {
	leave, err := r.db.enter()
	if err != nil {
		return err
	}
	defer leave()
	return r.db.explain(fn(view{r.db.engine, space(r.id)}))
}
