package fanotify

import (
	"github.com/weirfs/weir"
	sys "github.com/weirfs/weir/internal/sys/fanotify"
)

// maskOf is what a volume is marked for. Events on a directory itself come through OnDir.
func maskOf(wants weir.Demand) (mask uint64) {
	for _, row := range opTable {
		if wants.Ops&row.op != 0 {
			mask |= row.bit
		}
	}
	if mask != 0 && wants.Skips&weir.SkipDirs == 0 {
		mask |= sys.OnDir
	}
	return mask
}

// opTable pairs bits of an event with operations.
var opTable = [...]struct {
	bit uint64
	op  weir.Ops
}{
	{sys.Create, weir.OpCreate},
	{sys.Delete, weir.OpDelete},
	{sys.Rename, weir.OpRename},
	{sys.Modify, weir.OpModify},
	{sys.CloseWrite, weir.OpClose},
	{sys.Attrib, weir.OpAttrib},
	{sys.Open, weir.OpOpen},
	{sys.Access, weir.OpAccess},
}

// decoder turns events into operations. Consecutive events are mostly in one directory, so it keeps the
// last handle as a string instead of making one for each event.
type decoder struct{ dir weir.Handle }

func (d *decoder) operation(e *sys.Event) weir.Operation {
	op := weir.Operation{
		Dir:    d.handle(e.Dir.Inode),
		Name:   string(e.Name),
		Object: weir.Handle(e.Object.Inode),
		IsDir:  e.Mask&sys.OnDir != 0,
		PID:    e.PID,
	}
	if op.Name == "." && op.Object == "" {
		op.Object = op.Dir // the kernel names a directory that is itself the object once only
	}
	for _, row := range opTable {
		if e.Mask&row.bit != 0 {
			op.Ops |= row.op
		}
	}
	if e.Mask&sys.Rename != 0 {
		op.NewDir, op.NewName = d.handle(e.NewDir.Inode), string(e.NewName)
	}
	return op
}

func (d *decoder) handle(inode []byte) weir.Handle {
	if string(inode) != string(d.dir) {
		d.dir = weir.Handle(inode)
	}
	return d.dir
}

// fsidOf returns the file system of the event, from whichever identifier it carries.
func fsidOf(e *sys.Event) uint64 {
	switch {
	case e.Dir.FSID != 0:
		return e.Dir.FSID
	case e.Object.FSID != 0:
		return e.Object.FSID
	default:
		return e.NewDir.FSID
	}
}
