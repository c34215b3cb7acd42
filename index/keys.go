package index

import (
	"encoding/binary"
	"fmt"

	"github.com/weirfs/weir"
)

// First bytes of keys; see the package comment for the layout.
const (
	keyCount   = 'c'
	keyChain   = 'd'
	keyGlobal  = 'g'
	keyReplica = 'r'

	keyEntry = 'e'
	keyLink  = 'l'
	keyNode  = 'n'
	keyValue = 'v'
)

func globalKey(key string) []byte {
	return append([]byte{keyGlobal}, key...)
}

func countKey(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{keyCount}, id)
}

// space is the key space of one replica.
type space uint32

func (s space) prefix(kind ...byte) []byte {
	k := make([]byte, 0, 64)
	k = append(k, keyReplica)
	k = binary.BigEndian.AppendUint32(k, uint32(s))
	return append(k, kind...)
}

func (s space) node(key weir.Handle) []byte {
	return append(s.prefix(keyNode), key...)
}

func (s space) value(key string) []byte {
	return append(s.prefix(keyValue), key...)
}

// entries is the prefix of all entries of a directory. The length in front of the parent makes it a
// prefix of no other directory's entries.
func (s space) entries(parent weir.Handle) []byte {
	return appendString(s.prefix(keyEntry), string(parent))
}

func (s space) entry(n Name) []byte {
	return append(s.entries(n.Parent), n.Name...)
}

// links is the prefix of all names of a node that are kept apart from its record.
func (s space) links(key weir.Handle) []byte {
	return appendString(s.prefix(keyLink), string(key))
}

func (s space) link(key weir.Handle, n Name) []byte {
	return append(appendString(s.links(key), string(n.Parent)), n.Name...)
}

// linkName reads the name back from what follows the prefix of links in a key.
func linkName(rest []byte) (Name, error) {
	d := decoder{rest: rest}
	parent := d.string()
	if d.failed {
		return Name{}, fmt.Errorf("%w: the key of a link ends early", ErrDamaged)
	}
	return Name{Parent: weir.Handle(parent), Name: string(d.rest)}, nil
}

// after is the first key behind all keys that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
