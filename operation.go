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
func (o Ops) String() string { return bitNames(uint32(o), opNames) }

// bitNames lists a set of bits, of which the lowest have names.
func bitNames(set uint32, known []string) string {
	var names []string
	for i, name := range known {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := set >> len(known) << len(known); rest != 0 {
		names = append(names, fmt.Sprintf("%#x", rest))
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

// Skips is a set of classes of operations that a filter leaves out. SkipDirs and SkipFiles together would be all.
type Skips uint8

const (
	// SkipDirs leaves out what is done to a directory as an object: it is made, removed, renamed, opened or listed, or its
	// attributes change. What is done to files in it is not among that. Where nobody on a volume needs the class, fanotify is
	// not asked for it, which saves its work for everybody there.
	SkipDirs Skips = 1 << iota
	// SkipFiles leaves out everything else.
	SkipFiles
	// SkipOwn leaves out what weir's own process does. That other processes of weir do it, such as commands, does not count.
	SkipOwn
)

var skipNames = []string{"dirs", "files", "own"}

// String lists the set as "dirs|own". Bits that are no classes stand at its end, as "0x80".
func (s Skips) String() string { return bitNames(uint32(s), skipNames) }

// Holds tells whether an operation is in one of the classes: on a directory or not, and by weir's own process or not.
func (s Skips) Holds(dir, own bool) bool {
	return s&SkipDirs != 0 && dir || s&SkipFiles != 0 && !dir || s&SkipOwn != 0 && own
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
