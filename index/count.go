package index

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// counting is how the engine adds up: each batch writes the difference that it makes to the number of nodes
// beside its records, in the same atomic commit, so that the sum cannot disagree with them after a crash.
func counting() *pebble.Merger {
	return &pebble.Merger{
		Name: "weir.sum.1", // stored in the engine's files
		Merge: func(_, value []byte) (pebble.ValueMerger, error) {
			s := new(sum)
			return s, s.add(value)
		},
	}
}

// sum is a pebble.ValueMerger. Addition does not care for the order of the operands.
type sum int64

func (s *sum) add(value []byte) error {
	v, n := binary.Varint(value)
	if n <= 0 || n != len(value) {
		return fmt.Errorf("%w: a count that cannot be decoded", ErrDamaged)
	}
	*s += sum(v)
	return nil
}

func (s *sum) MergeNewer(value []byte) error { return s.add(value) }

func (s *sum) MergeOlder(value []byte) error { return s.add(value) }

func (s *sum) Finish(bool) ([]byte, io.Closer, error) {
	return binary.AppendVarint(nil, int64(*s)), nil, nil
}
