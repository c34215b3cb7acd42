package index

import (
	"encoding/binary"
	"fmt"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// recordVersion is the first byte of every record. A record of another version is damage: the version of
// the whole index, in FORMAT, is what refuses a newer one before any record is read.
const recordVersion = 1

// Bits that say which parts of a record follow. The parts are in the order of the bits.
const (
	hasXattrs = 1 << iota // 8 bytes, little endian
	hasApart              // number of names kept apart, instead of the names
	hasText

	knownBits = hasXattrs | hasApart | hasText
)

// Bits of the target's attributes that are equal to the source's, and so not stored twice.
const (
	sameMode = 1 << iota
	sameUID
	sameGID
	sameNlink
	sameRdev
	sameSize
	sameIno
	sameMtime
	sameCtime

	knownSame = sameCtime<<1 - 1
)

// appendRecord encodes everything of n but its key. Numbers are varints.
func appendRecord(b []byte, n *Node) []byte {
	var bits uint64
	if n.Xattrs != 0 {
		bits |= hasXattrs
	}
	if n.Apart > 0 {
		bits |= hasApart
	}
	if n.Text != "" {
		bits |= hasText
	}
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, bits)
	b = binary.AppendUvarint(b, n.Gen)
	b = binary.AppendUvarint(b, uint64(n.Flags))
	b = appendAttr(b, n.Source, 0)
	same := sameAttr(n.Source, n.Target)
	b = binary.AppendUvarint(b, same)
	b = appendAttr(b, n.Target, same)
	if bits&hasXattrs != 0 {
		b = binary.LittleEndian.AppendUint64(b, n.Xattrs)
	}
	b = appendNames(b, n)
	if bits&hasText != 0 {
		b = appendString(b, n.Text)
	}
	return b
}

func appendNames(b []byte, n *Node) []byte {
	if n.Apart > 0 {
		return binary.AppendUvarint(b, uint64(n.Apart))
	}
	b = binary.AppendUvarint(b, uint64(len(n.Names)))
	for _, name := range n.Names {
		b = appendString(b, string(name.Parent))
		b = appendString(b, name.Name)
	}
	return b
}

func sameAttr(a, b replica.Attr) uint64 {
	var same uint64
	for i, equal := range []bool{
		a.Mode == b.Mode, a.UID == b.UID, a.GID == b.GID, a.Nlink == b.Nlink, a.Rdev == b.Rdev,
		a.Size == b.Size, a.Ino == b.Ino, a.Mtime == b.Mtime, a.Ctime == b.Ctime,
	} {
		if equal {
			same |= 1 << i
		}
	}
	return same
}

// appendAttr encodes the fields of a that same does not name.
func appendAttr(b []byte, a replica.Attr, same uint64) []byte {
	for i, v := range []uint64{
		uint64(a.Mode), uint64(a.UID), uint64(a.GID), uint64(a.Nlink), a.Rdev, zigzag(a.Size), a.Ino,
	} {
		if same&(1<<i) == 0 {
			b = binary.AppendUvarint(b, v)
		}
	}
	if same&sameMtime == 0 {
		b = appendTime(b, a.Mtime)
	}
	if same&sameCtime == 0 {
		b = appendTime(b, a.Ctime)
	}
	return b
}

func appendTime(b []byte, t replica.Time) []byte {
	b = binary.AppendVarint(b, t.Sec)
	return binary.AppendUvarint(b, uint64(t.Nsec))
}

func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// decodeRecord reads what appendRecord has written. Anything else is ErrDamaged.
func decodeRecord(key weir.Handle, value []byte) (Node, error) {
	d := decoder{rest: value}
	if v := d.byte(); v != recordVersion {
		return Node{}, fmt.Errorf("%w: a record of version %d", ErrDamaged, v)
	}
	n := Node{Key: key}
	bits := d.uvarint()
	n.Gen = d.uvarint()
	n.Flags = Flags(d.upTo(1<<16 - 1))
	n.Source = d.attr(replica.Attr{}, 0)
	same := d.upTo(knownSame)
	n.Target = d.attr(n.Source, same)
	if bits&hasXattrs != 0 {
		n.Xattrs = d.uint64()
	}
	if bits&hasApart != 0 {
		n.Apart = int64(d.upTo(1<<62 - 1))
	} else {
		n.Names = d.names()
	}
	if bits&hasText != 0 {
		n.Text = d.string()
	}
	if d.failed || len(d.rest) > 0 || bits&^knownBits != 0 {
		return Node{}, fmt.Errorf("%w: a record that cannot be decoded", ErrDamaged)
	}
	return n, nil
}
