package index

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weirfs/weir"
)

// view reads one replica, either as committed or with the writes of a batch.
type view struct {
	reader pebble.Reader
	keys   space
}

// get returns a copy of a value, or nil if there is none.
func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(value)), value...)
	return out, closer.Close()
}

func (v view) get(key weir.Handle) (Node, bool, error) {
	value, closer, err := v.reader.Get(v.keys.node(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return Node{}, false, nil
	}
	if err != nil {
		return Node{}, false, wrap("read a node", err)
	}
	n, err := decodeRecord(key, value)
	if cerr := closer.Close(); err == nil {
		err = cerr
	}
	return n, err == nil, wrap("read a node", err)
}

// getAll goes through the nodes with one iterator, which steps to a key that is near faster than it seeks anew.
func (v view) getAll(sorted []weir.Handle, fn func(Node) error) (err error) {
	if len(sorted) == 0 {
		return nil
	}
	const op = "read nodes"
	it, err := v.reader.NewIter(&pebble.IterOptions{
		LowerBound: v.keys.node(sorted[0]), UpperBound: append(v.keys.node(sorted[len(sorted)-1]), 0),
	})
	if err != nil {
		return wrap(op, err)
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = wrap(op, cerr)
		}
	}()
	buf := v.keys.node("")
	prefix := len(buf)
	for _, key := range sorted {
		if buf = append(buf[:prefix], key...); !it.SeekGE(buf) {
			return wrap(op, it.Error())
		}
		if !bytes.Equal(it.Key(), buf) {
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return wrap(op, err)
		}
		n, err := decodeRecord(key, value)
		if err != nil {
			return wrap(op, err)
		}
		if err := fn(n); err != nil {
			return err
		}
	}
	return nil
}

func (v view) child(n Name) (weir.Handle, bool, error) {
	value, err := get(v.reader, v.keys.entry(n))
	return weir.Handle(value), value != nil, wrap("read an entry", err)
}

func (v view) children(parent weir.Handle, past string, fn func(string, weir.Handle) (bool, error)) error {
	prefix := v.keys.entries(parent)
	from := prefix
	if past != "" {
		from = append(v.keys.entry(Name{Parent: parent, Name: past}), 0)
	}
	return v.scan("list a directory", from, after(prefix), func(key, value []byte) (bool, error) {
		return fn(string(key[len(prefix):]), weir.Handle(value))
	})
}

func (v view) namesOf(key weir.Handle, fn func(Name) (bool, error)) error {
	n, _, err := v.get(key)
	if err != nil {
		return err
	}
	return v.listNames(&n, fn)
}

// listNames calls fn for each name of n, which is as it is stored.
func (v view) listNames(n *Node, fn func(Name) (bool, error)) error {
	for _, name := range n.Names {
		if more, err := fn(name); err != nil || !more {
			return err
		}
	}
	if n.Apart == 0 {
		return nil
	}
	prefix := v.keys.links(n.Key)
	return v.scan("list names", prefix, after(prefix), func(key, _ []byte) (bool, error) {
		name, err := linkName(key[len(prefix):])
		if err != nil {
			return false, err
		}
		return fn(name)
	})
}

// scan calls fn for each key from from up to before end, as they were when it began. The slices are valid
// during the call only. An error of fn is returned as it is.
func (v view) scan(op string, from, end []byte, fn func(key, value []byte) (bool, error)) (err error) {
	it, err := v.reader.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return wrap(op, err)
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = wrap(op, cerr)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return wrap(op, err)
		}
		if more, err := fn(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return wrap(op, it.Error())
}

func (v view) nodes(past weir.Handle, fn func(Node) (bool, error)) error {
	prefix := v.keys.node("")
	from := prefix
	if past != "" {
		from = append(v.keys.node(past), 0)
	}
	return v.scan("list nodes", from, after(prefix), func(key, value []byte) (bool, error) {
		n, err := decodeRecord(weir.Handle(key[len(prefix):]), value)
		if err != nil {
			return false, err
		}
		return fn(n)
	})
}
