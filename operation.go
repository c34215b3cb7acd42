package weir

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ops is a set of operations. The observing plane merges operations on one name while they wait to be
// read, so an Operation may carry several; their order within the set is not known.
type Ops uint32

const (
	OpCreate Ops = 1 << iota // a name appeared: create, mkdir, mknod, symlink, link, linkat of O_TMPFILE
	OpDelete                 // a name went: unlink, rmdir
	OpRename                 // a name moved
	OpModify                 // content changed: write, truncate, fallocate, reflink
	OpClose                  // a descriptor that was open for writing, or the last writable mapping, was closed
	OpAttrib                 // mode, owner, times, xattrs, link count changed
	OpOpen                   // a file was opened
	OpAccess                 // a file was read
)

// Changes are the operations after which something is different. The others cost every reader of a volume.
const Changes = OpCreate | OpDelete | OpRename | OpModify | OpClose | OpAttrib

var opNames = []string{"create", "delete", "rename", "modify", "close", "attrib", "open", "access"}

// String lists the set as "create|modify". Bits that are no operations stand at its end, as "0x100".
func (o Ops) String() string {
	var names []string
	for i, name := range opNames {
		if o&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := o >> len(opNames) << len(opNames); rest != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(rest)))
	}
	return strings.Join(names, "|")
}

// ParseOps reads what String wrote, and also names with commas between.
func ParseOps(text string) (ops Ops, err error) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '|' || r == ',' }) {
		i := slices.Index(opNames, name)
		if i < 0 {
			return 0, &Error{
				Op: "read operations", Kind: KindRefused, Path: name, Err: errors.New("there is no such operation"), Hint: "there are " + strings.Join(opNames, ", "),
			}
		}
		ops |= 1 << i
	}
	return ops, nil
}

// MarshalText implements encoding.TextMarshaler.
func (o Ops) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (o *Ops) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOps(string(text))
	return err
}

// Operation is one completed operation, or a merged set of them, on one directory entry.
type Operation struct {
	Ops Ops

	// Dir and Name are the directory entry on which the operation was done. Name is empty, or ".", when
	// the object of the operation is the directory itself. Dir is empty where the plane knows only the
	// Object: the last link of an inode went, or it was changed through a descriptor that was opened by
	// handle.
	Dir  Handle
	Name string

	// NewDir and NewName are where OpRename moved the entry; empty if the set holds no rename.
	NewDir  Handle
	NewName string

	// Object is the inode itself, where the plane knows it.
	Object Handle

	IsDir bool
	PID   int // process (thread group) that did it, 0 if unknown
}
