package replicate

import (
	"errors"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// rekey takes an object over for another source inode.
func (b *batch) rekey(step replica.Step, f *find) error {
	node, known, err := b.ix.Get(step.Old)
	if err != nil || !known {
		return err
	}
	if node.Flags&replica.Pinned != 0 {
		if err := b.u.r.remade(b.u.place, step.Old, step.Key); err != nil {
			return err
		}
		b.pinned = true // Now the volume's replica finds its way.
	}
	children := node.Source.IsDir()
	b.s.dirs.drop(step.Old) // What was found in the former one, before it went away, finds no directory now.
	b.ix.Delete(step.Old)
	node.Key = step.Key
	node.Source.Ctime, node.Source.Mtime = replica.Time{}, replica.Time{}
	b.ix.Put(node)
	if children {
		if err := b.reparent(step.Old, step.Key); err != nil {
			return err
		}
		b.u.resolvedIn(step.Old) // What is still wrong in it is found on the walk that follows.
		b.grown = append(b.grown, step.Key)
		b.touch(step.Key)
		return nil
	}
	if f.copied == nil {
		b.again(f)
	}
	return b.ix.Err()
}

// reparent moves the entries of a directory to its new key.
func (b *batch) reparent(old, key weir.Handle) error {
	var names []string
	var keys []weir.Handle
	err := b.ix.Children(old, "", func(name string, child weir.Handle) (bool, error) {
		names, keys = append(names, name), append(keys, child)
		return true, nil
	})
	for i, name := range names {
		b.ix.Link(keys[i], replica.Name{Parent: key, Name: name})
		b.ix.Unlink(keys[i], replica.Name{Parent: old, Name: name})
	}
	return errors.Join(err, b.ix.Err())
}
