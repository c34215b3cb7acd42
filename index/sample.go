package index

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weirfs/weir"
)

// sample divides the range between the first key and the last evenly and takes the node behind each
// division. Handles begin with what is the same for all of a volume, so the range is that of the 8 bytes
// behind what first and last have in common.
func (v view) sample(count int) (nodes []Node, err error) {
	const op = "sample nodes"
	prefix := v.keys.node("")
	it, err := v.reader.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, wrap(op, err)
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = wrap(op, cerr)
		}
	}()
	if count <= 0 || !it.Last() {
		return nil, nil
	}
	last := append([]byte(nil), it.Key()...)
	for ok := it.First(); ok && len(nodes) < count; {
		key := append([]byte(nil), it.Key()...)
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, wrap(op, err)
		}
		n, err := decodeRecord(weir.Handle(key[len(prefix):]), value)
		if err != nil {
			return nil, wrap(op, err)
		}
		nodes = append(nodes, n)
		ok = it.SeekGE(between(key, last, count-len(nodes)))
	}
	return nodes, nil
}

// between returns a key above low that is one part of parts of the way to high.
func between(low, high []byte, parts int) []byte {
	same := 0
	for same < len(low) && same < len(high) && low[same] == high[same] {
		same++
	}
	a, b := head(low[same:]), head(high[same:])
	next := append([]byte(nil), low...)
	if step := (b - a) / uint64(max(parts, 1)); step > 0 {
		next = binary.BigEndian.AppendUint64(next[:same], a+step)
	}
	if string(next) <= string(low) {
		next = append(append([]byte(nil), low...), 0)
	}
	return next
}

// head is the first 8 bytes as a number, with zeros for those that are missing.
func head(b []byte) uint64 {
	var first [8]byte
	copy(first[:], b)
	return binary.BigEndian.Uint64(first[:])
}
