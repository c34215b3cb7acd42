package memory

import (
	"io/fs"
	"slices"

	"github.com/weirfs/weir"
)

// change runs edit on the tree and tells the listeners what it returns.
func (v *Volume) change(edit func() (weir.Operation, error)) error {
	v.mu.Lock()
	if v.left {
		defer v.mu.Unlock()
		return v.absent("change volume")
	}
	op, err := edit()
	listeners := slices.Clone(v.listeners)
	v.mu.Unlock()
	if err != nil {
		return err
	}
	for _, a := range listeners {
		a.put(op)
	}
	return nil
}

func operation(ops weir.Ops, dir *node, name string, object *node) weir.Operation {
	return weir.Operation{Ops: ops, Dir: dir.handle, Name: name, Object: object.handle, IsDir: object.children != nil, PID: 1}
}

// Create makes an empty file.
func (v *Volume) Create(name string) error { return v.make(name, false) }

// Mkdir makes a directory.
func (v *Volume) Mkdir(name string) error { return v.make(name, true) }

func (v *Volume) make(name string, dir bool) error {
	return v.change(func() (weir.Operation, error) {
		parent, base, entry, err := v.find(name)
		if err == nil && entry != nil {
			err = &fs.PathError{Op: "make", Path: name, Err: fs.ErrExist}
		}
		if err != nil {
			return weir.Operation{}, err
		}
		entry = v.newNode(dir)
		parent.children[base] = entry
		return operation(weir.OpCreate, parent, base, entry), nil
	})
}

// Write changes the content of a file and closes it.
func (v *Volume) Write(name string) error { return v.touch(name, weir.OpModify|weir.OpClose) }

// Chmod changes the attributes of a file or directory.
func (v *Volume) Chmod(name string) error { return v.touch(name, weir.OpAttrib) }

func (v *Volume) touch(name string, ops weir.Ops) error {
	return v.change(func() (weir.Operation, error) {
		parent, base, entry, err := v.existing(name)
		if err != nil {
			return weir.Operation{}, err
		}
		if entry.children != nil {
			parent, base = entry, "." // what happens to a directory itself is told in it
		}
		return operation(ops, parent, base, entry), nil
	})
}

func (v *Volume) existing(name string) (dir *node, base string, entry *node, err error) {
	dir, base, entry, err = v.find(name)
	if err == nil && entry == nil {
		err = &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
	}
	return dir, base, entry, err
}

// Remove removes a name.
func (v *Volume) Remove(name string) error {
	return v.change(func() (weir.Operation, error) {
		parent, base, entry, err := v.existing(name)
		if err == nil && len(entry.children) > 0 {
			err = &fs.PathError{Op: "remove", Path: name, Err: fs.ErrExist}
		}
		if err != nil {
			return weir.Operation{}, err
		}
		delete(parent.children, base)
		return operation(weir.OpDelete, parent, base, entry), nil
	})
}

// Link makes another name for a file.
func (v *Volume) Link(old, name string) error {
	return v.change(func() (weir.Operation, error) {
		_, _, entry, err := v.existing(old)
		if err != nil {
			return weir.Operation{}, err
		}
		parent, base, taken, err := v.find(name)
		if err == nil && taken != nil {
			err = &fs.PathError{Op: "link", Path: name, Err: fs.ErrExist}
		}
		if err != nil {
			return weir.Operation{}, err
		}
		parent.children[base] = entry
		return operation(weir.OpCreate, parent, base, entry), nil
	})
}

// Rename moves a name, over another one if there is one.
func (v *Volume) Rename(old, name string) error {
	return v.change(func() (weir.Operation, error) {
		from, oldBase, entry, err := v.existing(old)
		if err != nil {
			return weir.Operation{}, err
		}
		to, newBase, _, err := v.find(name)
		if err != nil {
			return weir.Operation{}, err
		}
		delete(from.children, oldBase)
		to.children[newBase] = entry
		op := operation(weir.OpRename, from, oldBase, entry)
		op.NewDir, op.NewName = to.handle, newBase
		return op, nil
	})
}
