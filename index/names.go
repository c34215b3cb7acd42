package index

import (
	"slices"

	"github.com/weirfs/weir"
)

const (
	// maxNames is how many names a record holds. Each change of a record writes all of them.
	maxNames = 64
	// fewNames is when names that were kept apart move back into the record. The distance to maxNames
	// keeps a node that gains and loses a name from moving them all each time.
	fewNames = 32
)

// replaceNames makes n.Names the names of the node that was old, and brings n into the form in which it is
// stored. It does not write the record.
//
// The invariant of the package holds before and after: an entry leads to a node if and only if the node
// has that name.
func (b *Batch) replaceNames(n, old *Node) error {
	wanted := make(map[Name]bool, len(n.Names))
	names := make([]Name, 0, len(n.Names))
	for _, name := range n.Names {
		if !wanted[name] {
			wanted[name] = true
			names = append(names, name)
		}
	}
	had := make(map[Name]bool, len(names))
	err := b.view.listNames(old, func(name Name) (bool, error) {
		if wanted[name] {
			had[name] = true
			return true, nil
		}
		return true, b.dropName(old, name)
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if !had[name] {
			if err := b.claim(n.Key, name); err != nil {
				return err
			}
		}
	}
	n.Names = names
	return b.layOut(n, old, had)
}

// layOut decides where the names of n are kept. apart holds those of them that old had.
func (b *Batch) layOut(n, old *Node, had map[Name]bool) error {
	if len(n.Names) <= maxNames {
		if old.Apart == 0 {
			return nil
		}
		for name := range had {
			if err := b.batch.Delete(b.view.keys.link(n.Key, name), nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range n.Names {
		if old.Apart > 0 && had[name] {
			continue
		}
		if err := b.batch.Set(b.view.keys.link(n.Key, name), nil, nil); err != nil {
			return err
		}
	}
	n.Names, n.Apart = nil, int64(len(n.Names))
	return nil
}

// dropName removes the entry of a name, and its key if the node's names are kept apart.
func (b *Batch) dropName(n *Node, name Name) error {
	if err := b.dropEntry(n.Key, name); err != nil || n.Apart == 0 {
		return err
	}
	return b.batch.Delete(b.view.keys.link(n.Key, name), nil)
}

// dropEntry removes an entry if it leads to the node.
func (b *Batch) dropEntry(key weir.Handle, name Name) error {
	owner, found, err := b.view.child(name)
	if err != nil || !found || owner != key {
		return err
	}
	return b.batch.Delete(b.view.keys.entry(name), nil)
}

// claim makes an entry lead to the node, and takes the name from the node that had it.
func (b *Batch) claim(key weir.Handle, name Name) error {
	owner, found, err := b.view.child(name)
	if err != nil {
		return err
	}
	if found && owner != key {
		if err := b.forget(owner, name); err != nil {
			return err
		}
	}
	return b.batch.Set(b.view.keys.entry(name), []byte(key), nil)
}

// link adds a name to a stored node, unless it has it.
func (b *Batch) link(key weir.Handle, name Name) error {
	owner, found, err := b.view.child(name)
	if err != nil || found && owner == key {
		return err
	}
	if err := b.claim(key, name); err != nil {
		return err
	}
	n, err := b.mustGet(key)
	if err != nil {
		return err
	}
	switch {
	case n.Apart > 0:
		n.Apart++
		err = b.batch.Set(b.view.keys.link(key, name), nil, nil)
	default:
		n.Names = append(n.Names, name)
		err = b.layOut(&n, &Node{}, nil)
	}
	if err != nil {
		return err
	}
	return b.setRecord(&n)
}

// forget removes a name from a node's record, or from its names that are kept apart. It leaves the entry.
func (b *Batch) forget(key weir.Handle, name Name) error {
	n, found, err := b.view.get(key)
	if err != nil || !found {
		return err
	}
	if n.Apart > 0 {
		return b.forgetApart(&n, name)
	}
	i := slices.Index(n.Names, name)
	if i < 0 {
		return nil
	}
	n.Names = slices.Delete(n.Names, i, i+1)
	return b.setRecord(&n)
}

func (b *Batch) forgetApart(n *Node, name Name) error {
	link := b.view.keys.link(n.Key, name)
	value, err := get(b.view.reader, link)
	if err != nil || value == nil {
		return err
	}
	if err := b.batch.Delete(link, nil); err != nil {
		return err
	}
	n.Apart--
	if n.Apart <= fewNames {
		if err := b.gather(n); err != nil {
			return err
		}
	}
	return b.setRecord(n)
}

// gather moves names that are kept apart into the record.
func (b *Batch) gather(n *Node) error {
	var names []Name
	err := b.view.listNames(n, func(name Name) (bool, error) {
		names = append(names, name)
		return true, b.batch.Delete(b.view.keys.link(n.Key, name), nil)
	})
	n.Names, n.Apart = names, 0
	return err
}
