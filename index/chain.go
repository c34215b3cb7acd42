package index

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// chain finds commits that are missing among others, which the engine cannot: where the end of its manifest
// is damaged, it goes back to older tables and still replays a newer log. Every commit carries its number
// and adds one to a sum. If the sum is not the last number, a commit between is lost, and the index is
// damaged. Commits missing at the end are what a power cut leaves, and are told by nothing in the index.
type chain struct {
	// mu makes the order of the numbers that of the commits. It is held while the engine takes a commit
	// into memory, which it does one by one in any case.
	mu   sync.Mutex
	last uint64
}

func chainLast() []byte { return []byte{keyChain, 'l'} }

func chainSum() []byte { return []byte{keyChain, 's'} }

// load reads where the chain ends and whether it is whole.
func (c *chain) load(r pebble.Reader) error {
	last, err := get(r, chainLast())
	if err != nil {
		return wrap("read the last commit", err)
	}
	sum, err := get(r, chainSum())
	if err != nil {
		return wrap("read the sum of commits", err)
	}
	number, _ := binary.Uvarint(last)
	count, _ := binary.Varint(sum)
	if number != uint64(count) {
		return fmt.Errorf("open the index: %w: %d of %d commits are there", ErrDamaged, count, number)
	}
	c.last = number
	return nil
}

// apply gives the batch its number and commits it to memory.
func (c *chain) apply(engine *pebble.DB, batch *pebble.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := batch.Set(chainLast(), binary.AppendUvarint(nil, c.last+1), nil); err != nil {
		return err
	}
	if err := batch.Merge(chainSum(), binary.AppendVarint(nil, 1), nil); err != nil {
		return err
	}
	if err := engine.Apply(batch, pebble.NoSync); err != nil {
		return err
	}
	c.last++
	return nil
}
