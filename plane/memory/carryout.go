package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirfs/weir"
)

// opened is one open of a file.
type opened struct {
	node  *node
	dir   weir.Handle // the name that it was opened by
	name  string
	wrote bool
	quiet bool // its writes are told when it is closed
}

func missing(name string) error { return &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist} }

// carryOut does an operation below all gates, and tells those who listen.
func (v *Volume) carryOut(ctx context.Context, p *weir.Parameters) weir.Result {
	v.mu.Lock()
	obstacle := v.obstacle
	v.mu.Unlock()
	if obstacle != nil {
		if err := obstacle(ctx, p); err != nil {
			return weir.Result{Err: err}
		}
	}
	v.mu.Lock()
	if v.left {
		defer v.mu.Unlock()
		return weir.Result{Err: v.absent("change volume")}
	}
	result, told := v.applyLocked(p)
	listeners := v.listeners
	v.mu.Unlock()
	if result.Err == nil && told.Ops != 0 {
		for _, a := range listeners {
			a.put(told)
		}
	}
	return result
}

// applyLocked changes the tree, and returns what is told of it.
func (v *Volume) applyLocked(p *weir.Parameters) (weir.Result, weir.Operation) {
	if p.Op&(weir.OpModify|weir.OpAccess|weir.OpClose) != 0 {
		return v.applyOpenLocked(p)
	}
	told := weir.Operation{Ops: p.Op, Dir: p.Dir, Name: p.Name, PID: p.PID}
	var result weir.Result
	dir, entry, err := v.entryLocked(p)
	if err == nil {
		switch p.Op {
		case weir.OpCreate:
			entry, err = v.createLocked(dir, entry, p)
		case weir.OpDelete:
			err = v.deleteLocked(dir, entry, p)
		case weir.OpRename:
			err = v.renameLocked(dir, entry, p)
			told.NewDir, told.NewName = p.NewDir, p.NewName
		case weir.OpAttrib:
			if entry.children != nil {
				told.Dir, told.Name = entry.handle, "." // what happens to a directory itself is told in it
			}
		case weir.OpOpen:
			result.Open = v.openLocked(entry, p)
		default:
			err = fmt.Errorf("do %q: it is not one operation", p.Op)
		}
	}
	if err != nil {
		return weir.Result{Err: err}, weir.Operation{}
	}
	result.Object, told.Object, told.IsDir = entry.handle, entry.handle, entry.children != nil
	return result, told
}

// entryLocked returns the directory entry that an operation is about, which only a creation can do without.
func (v *Volume) entryLocked(p *weir.Parameters) (dir, entry *node, err error) {
	dir = v.nodes[p.Dir]
	if dir == nil || dir.children == nil {
		return nil, nil, missing(p.Name)
	}
	entry = dir.children[p.Name]
	if p.Name == "." {
		entry = dir
	}
	switch {
	case entry == nil && p.Op != weir.OpCreate:
		err = missing(p.Name)
	case entry == dir && p.Op&(weir.OpDelete|weir.OpRename) != 0:
		err = &fs.PathError{Op: p.Op.String(), Path: p.Name, Err: fs.ErrInvalid}
	}
	return dir, entry, err
}

func (v *Volume) createLocked(dir, taken *node, p *weir.Parameters) (*node, error) {
	if taken != nil {
		return nil, &fs.PathError{Op: "make", Path: p.Name, Err: fs.ErrExist}
	}
	entry := v.nodes[p.Object]
	switch {
	case p.Object == "":
		entry = v.newNode(p.IsDir)
	case entry == nil:
		return nil, missing(p.Name)
	}
	dir.children[p.Name] = entry
	entry.names++
	return entry, nil
}

func (v *Volume) deleteLocked(dir, entry *node, p *weir.Parameters) error {
	if len(entry.children) > 0 {
		return &fs.PathError{Op: "remove", Path: p.Name, Err: fs.ErrExist}
	}
	delete(dir.children, p.Name)
	v.unnameLocked(entry)
	return nil
}

func (v *Volume) renameLocked(dir, entry *node, p *weir.Parameters) error {
	to := v.nodes[p.NewDir]
	if to == nil || to.children == nil {
		return missing(p.NewName)
	}
	covered := to.children[p.NewName]
	if covered == entry {
		return nil
	}
	delete(dir.children, p.Name)
	to.children[p.NewName] = entry
	if covered != nil {
		v.unnameLocked(covered)
	}
	return nil
}

func (v *Volume) openLocked(entry *node, p *weir.Parameters) weir.OpenID {
	v.lastOpen++
	v.opens[v.lastOpen] = &opened{node: entry, dir: p.Dir, name: p.Name}
	entry.opens++
	return v.lastOpen
}

// applyOpenLocked does what is done to an open file.
func (v *Volume) applyOpenLocked(p *weir.Parameters) (weir.Result, weir.Operation) {
	o := v.opens[p.Open]
	switch {
	case o == nil:
		return weir.Result{Err: errors.New("the file is not open")}, weir.Operation{}
	case p.Offset < 0 || p.Length < 0:
		return weir.Result{Err: fs.ErrInvalid}, weir.Operation{}
	}
	result := weir.Result{Object: o.node.handle}
	told := weir.Operation{Ops: p.Op, Dir: o.dir, Name: o.name, Object: o.node.handle, PID: p.PID}
	switch p.Op {
	case weir.OpModify:
		o.wrote = true
		result.N = o.node.write(p)
		if o.quiet {
			told.Ops = 0
		}
	case weir.OpAccess:
		if p.Offset < int64(len(o.node.content)) {
			result.N = int64(copy(p.Data, o.node.content[p.Offset:]))
		}
	case weir.OpClose:
		switch {
		case !o.wrote:
			told.Ops = 0
		case o.quiet:
			told.Ops |= weir.OpModify
		}
		v.closeLocked(p.Open, o)
	}
	return result, told
}

// write changes content, or size where there is no data.
func (n *node) write(p *weir.Parameters) int64 {
	end := p.Length
	if p.Data != nil {
		end = max(p.Offset+int64(len(p.Data)), int64(len(n.content)))
	}
	if more := end - int64(len(n.content)); more > 0 {
		n.content = append(n.content, make([]byte, more)...)
	}
	n.content = n.content[:end]
	if p.Data == nil {
		return 0
	}
	return int64(copy(n.content[p.Offset:], p.Data))
}

func (v *Volume) closeLocked(id weir.OpenID, o *opened) {
	delete(v.opens, id)
	v.gone = append(v.gone, weir.ContextKey{Kind: weir.ContextOpen, Open: id})
	o.node.opens--
	v.forgetLocked(o.node)
}

func (v *Volume) unnameLocked(n *node) {
	n.names--
	v.forgetLocked(n)
}

// forgetLocked ends an inode that has neither a name nor is open.
func (v *Volume) forgetLocked(n *node) {
	if n.names == 0 && n.opens == 0 {
		delete(v.nodes, n.handle)
		v.gone = append(v.gone, weir.ContextKey{Kind: weir.ContextFile, File: n.handle})
	}
}
