package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weirfs/weir"
)

// Batch is a set of changes to one replica that becomes visible and durable as a whole. Its readers see
// its own writes. The first failure of a write is kept and returned by Commit, which then writes nothing.
// A batch is used by one goroutine; batches that touch the same node or name must not overlap in time.
type Batch struct {
	replica *Replica
	view    view
	batch   *pebble.Batch
	err     error // the first failure, or why the batch has ended
	added   int64 // nodes, less those that were deleted
	changed bool  // nodes or names were written
}

var errEnded = errors.New("the batch has ended")

func newBatch(r *Replica) *Batch {
	b := &Batch{replica: r, batch: r.db.engine.NewIndexedBatch()}
	b.view = view{b.batch, space(r.id)}
	return b
}

// Get is like Replica.Get with the writes of the batch.
func (b *Batch) Get(key weir.Handle) (n Node, found bool, err error) {
	err = b.read(func() error {
		n, found, err = b.view.get(key)
		return err
	})
	return n, found, err
}

// Child is like Replica.Child with the writes of the batch.
func (b *Batch) Child(parent weir.Handle, name string) (key weir.Handle, found bool, err error) {
	err = b.read(func() error {
		key, found, err = b.view.child(Name{Parent: parent, Name: name})
		return err
	})
	return key, found, err
}

// Children is like Replica.Children with the writes of the batch. fn may write to the batch, and does not
// see what it writes.
func (b *Batch) Children(parent weir.Handle, after string, fn func(name string, key weir.Handle) (more bool, err error)) error {
	return b.read(func() error { return b.view.children(parent, after, fn) })
}

// NamesOf is like Replica.NamesOf with the writes of the batch.
func (b *Batch) NamesOf(key weir.Handle, fn func(Name) (more bool, err error)) error {
	return b.read(func() error { return b.view.namesOf(key, fn) })
}

// Put writes a node: its record, and entries for the names that it has not had before. Entries of names
// that it no longer has are removed. A name that belongs to another node is taken from it; a node may be
// left without names.
func (b *Batch) Put(n Node) {
	b.change("put a node", func() error {
		old, found, err := b.view.get(n.Key)
		if err != nil {
			return err
		}
		if !found {
			b.added++
		}
		if n.Apart > 0 {
			n.Names, n.Apart = old.Names, old.Apart
			return b.setRecord(&n)
		}
		if err := b.replaceNames(&n, &old); err != nil {
			return err
		}
		return b.setRecord(&n)
	})
}

// PutNew is Put for a node that is not stored, with names that nobody has: it reads nothing. The caller
// vouches for both; a node has few names then.
func (b *Batch) PutNew(n Node) {
	b.change("put a new node", func() error {
		for _, name := range n.Names {
			if err := b.batch.Set(b.view.keys.entry(name), []byte(n.Key), nil); err != nil {
				return err
			}
		}
		b.added++
		return b.setRecord(&n)
	})
}

// Delete removes a node, its names and their entries. It does nothing if there is no such node.
func (b *Batch) Delete(key weir.Handle) {
	b.change("delete a node", func() error {
		old, found, err := b.view.get(key)
		if err != nil || !found {
			return err
		}
		if err := b.replaceNames(&Node{Key: key}, &old); err != nil {
			return err
		}
		b.added--
		return b.batch.Delete(b.view.keys.node(key), nil)
	})
}

// Link adds one name to a node, which must exist. A name that belongs to another node is taken from it.
func (b *Batch) Link(key weir.Handle, name Name) {
	b.change("link a name", func() error { return b.link(key, name) })
}

// Unlink removes one name from a node. It does nothing if the node does not have it.
func (b *Batch) Unlink(key weir.Handle, name Name) {
	b.change("unlink a name", func() error {
		if err := b.dropEntry(key, name); err != nil {
			return err
		}
		return b.forget(key, name)
	})
}

// Meta sets a value of the replica; nil deletes it.
func (b *Batch) Meta(key string, value []byte) {
	b.do("set a value", func() error {
		if value == nil {
			return b.batch.Delete(b.view.keys.value(key), nil)
		}
		return b.batch.Set(b.view.keys.value(key), value, nil)
	})
}

// Err returns the first failure of a write, which Commit will return.
func (b *Batch) Err() error { return b.err }

// Len returns the size of what Commit will write, in bytes.
func (b *Batch) Len() int {
	if b.batch == nil {
		return 0
	}
	return b.batch.Len()
}

// Commit writes the batch. With sync it returns when the batch and everything that was committed before
// it, to any replica, is on the disk; otherwise a power cut may take it back, as a whole. The batch has
// ended when Commit returns. An error says that nothing of it was written, or, if the disk failed, that it
// is not known whether it was: read again after the index was opened again.
func (b *Batch) Commit(sync bool) error {
	defer b.Close()
	return b.read(func() error { return b.commit(sync) })
}

func (b *Batch) commit(sync bool) error {
	if b.added != 0 {
		if err := b.batch.Merge(countKey(b.replica.id), binary.AppendVarint(nil, b.added), nil); err != nil {
			return wrap("commit", err)
		}
	}
	batch := b.batch
	b.batch = nil
	if b.changed {
		b.replica.version.Add(1)
		defer b.replica.version.Add(1)
	}
	if err := b.replica.db.commit(batch, sync); err != nil {
		return err
	}
	b.replica.nodes.Add(b.added)
	return nil
}

// Close drops a batch that was not committed. It may be called twice, and after Commit.
func (b *Batch) Close() {
	if b.batch != nil {
		_ = b.batch.Close() // only says that it was closed before
		b.batch = nil
	}
	if b.err == nil {
		b.err = errEnded
	}
}

// Changed reports whether nodes or names were written, and not only values.
func (b *Batch) Changed() bool { return b.changed }

// change runs one write of nodes or names.
func (b *Batch) change(op string, write func() error) {
	b.changed = true
	b.do(op, write)
}

// do runs one write and keeps its failure.
func (b *Batch) do(op string, write func() error) {
	if b.err != nil {
		return
	}
	if err := b.read(write); err != nil {
		b.err = wrap(op, err)
	}
}

// read runs fn with the engine kept open, unless the batch has failed or ended.
func (b *Batch) read(fn func() error) error {
	if b.err != nil {
		return b.err
	}
	leave, err := b.replica.db.enter()
	if err != nil {
		return err
	}
	defer leave()
	return b.replica.db.explain(fn())
}

func (b *Batch) setRecord(n *Node) error {
	return b.batch.Set(b.view.keys.node(n.Key), appendRecord(nil, n), nil)
}

// mustGet returns a node that the records say exists.
func (b *Batch) mustGet(key weir.Handle) (Node, error) {
	n, found, err := b.view.get(key)
	if err == nil && !found {
		err = fmt.Errorf("no node %q", string(key))
	}
	return n, err
}
