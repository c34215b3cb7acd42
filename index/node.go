package index

import (
	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// Flags is a set of bits that the caller defines. The index stores it and looks at none.
type Flags uint16

// Name is a directory entry on the replica: the source's handle of the directory, and the name in it. Any
// byte may be part of a name.
type Name struct {
	Parent weir.Handle
	Name   string
}

// Node is one source inode and its object on the replica.
type Node struct {
	// Key identifies the source inode: its handle, or a key derived from its path on volumes that have no
	// handles.
	Key weir.Handle

	// Source is the stat of the source that content and metadata of the replica's object were made from.
	Source replica.Attr

	// Xattrs is a digest of the source's extended attributes.
	Xattrs uint64

	// Target is the stat of the replica's object after the last step on it.
	Target replica.Attr

	// Gen is the number of the batch that wrote the record.
	Gen uint64

	Flags Flags

	// Names are all the names of the object, in no particular order; a directory has one. They are nil if
	// Apart is not 0.
	Names []Name

	// Apart is the number of names if there are too many to be part of the record: more than 64. They are
	// listed by NamesOf and changed by Link and Unlink. A Put with Apart set leaves the names as they are.
	Apart int64

	// Text is where a symlink points.
	Text string
}

// NameCount returns the number of names, wherever they are kept.
func (n *Node) NameCount() int64 {
	if n.Apart > 0 {
		return n.Apart
	}
	return int64(len(n.Names))
}
