package replica

import (
	"encoding/hex"
	"hash/fnv"

	"github.com/weirfs/weir"
)

// Flags tell what is known of a node beyond its attributes.
type Flags uint16

const (
	// Racy: the source's ctime was so young when the content was read that a later store need not have
	// moved it.
	Racy Flags = 1 << iota
	// Quiet: nobody had the source open for writing or mapped when its content was read.
	Quiet
	// Inexact: the source did not stand still while it was read; a version in between was published.
	Inexact
	// Pinned: the node is the directory on which a volume was mounted. Its content belongs to that
	// volume's replica, also while the volume is away.
	Pinned
	// Partial: part of the node's metadata could not be stored on the target.
	Partial
)

// Name is a directory entry: the parent's key and one component.
type Name struct {
	Parent weir.Handle
	Name   string
}

// Node is one source inode and its object on the replica.
type Node struct {
	Key    weir.Handle // identity on the source
	Source Attr        // the stat of the source that content and metadata were made from
	Xattrs uint64      // digest of the source's xattrs
	Target Attr        // the stat of the replica's object after the last step on it
	Gen    uint64      // batch that wrote the record
	Flags  Flags
	Names  []Name // every name on the replica; directories have one, the root of a tree none
	Text   string // symlink text
}

// Parking is the key of the hidden directory in which nodes wait that have vanished from their place and
// may turn up in another.
const Parking weir.Handle = "\x00parking"

// ParkingName is the name under which the node of that key is parked.
func ParkingName(key weir.Handle) Name {
	h := fnv.New128a()
	h.Write([]byte(key))
	return Name{Parking, hex.EncodeToString(h.Sum(nil))}
}

// Parked reports whether the node is visible under no name of the tree.
func (n Node) Parked() bool {
	return len(n.Names) == 1 && n.Names[0].Parent == Parking
}

// has reports whether at is one of the node's names.
func (n Node) has(at Name) bool {
	for _, name := range n.Names {
		if name == at {
			return true
		}
	}
	return false
}

// Without returns the node's names without at, in a slice of its own.
func (n Node) Without(at Name) []Name {
	names := make([]Name, 0, len(n.Names))
	for _, name := range n.Names {
		if name != at {
			names = append(names, name)
		}
	}
	return names
}

// With returns the node's names and at, in a slice of its own.
func (n Node) With(at Name) []Name {
	return append(n.Without(at), at)
}
