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
	// Touched: the source's ctime has moved since the content was read, by what is no write; the content was not
	// read again.
	Touched
	// Uncounted: the node was parked without the brake being asked, which has to be done before it is deleted.
	Uncounted
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
	Text   string // symlink text

	// Names are all names on the replica, in no particular order: directories have one, the root of a
	// tree none. They are nil if Apart is not 0.
	Names []Name

	// Apart is the number of names if there are too many to be part of the record. They are then listed
	// and changed one by one.
	Apart int64
}

// NameCount returns the number of names, wherever they are kept.
func (n *Node) NameCount() int64 {
	if n.Apart > 0 {
		return n.Apart
	}
	return int64(len(n.Names))
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
