package tree

import (
	"bytes"
	"fmt"
	"io"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/clone"
)

// block is the unit, in bytes, in which differences are found.
const block = 4 << 10

// update makes dst, which shares the blocks of an old version and has the right size, equal to the source.
func (c *copier) update() error {
	for offset := int64(0); offset < c.size; {
		start, end, ok, err := clone.Data(c.src, offset, c.size)
		if err != nil {
			return fmt.Errorf("find data: %w", err)
		}
		if !ok {
			start, end = c.size, c.size
		}
		if err := c.clear(offset, start); err != nil {
			return err
		}
		if err := c.updateRange(start, end); err != nil {
			return err
		}
		offset = end
	}
	return nil
}

// clear makes a range of dst a hole. What is one already costs nothing; space that the old version had
// allocated and not written is freed too.
func (c *copier) clear(start, end int64) error {
	if start >= end {
		return nil
	}
	if err := clone.Punch(c.dst, start, end-start); err != nil {
		return fmt.Errorf("punch hole: %w", err)
	}
	return nil
}

func (c *copier) updateRange(start, end int64) error {
	for start < end {
		piece, err := c.read(start, end)
		if err != nil {
			return err
		}
		old := c.old[:len(piece)]
		n, err := at.ReadAt(c.dst, old, start)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read the old version: %w", err)
		}
		clear(old[n:])
		if err := c.writeChanged(piece, old, start); err != nil {
			return err
		}
		start += int64(len(piece))
	}
	return nil
}

// writeChanged writes those blocks of piece that differ from old, neighbours in one call.
func (c *copier) writeChanged(piece, old []byte, offset int64) error {
	if bytes.Equal(piece, old) {
		return nil
	}
	for at := 0; at < len(piece); {
		same := blocks(piece[at:], old[at:], true)
		at += same
		changed := blocks(piece[at:], old[at:], false)
		if changed > 0 {
			if err := c.write(piece[at:at+changed], offset+int64(at)); err != nil {
				return err
			}
		}
		at += changed
	}
	return nil
}

// blocks returns how many bytes at the beginning of a and b are blocks that are all equal, or all different.
func blocks(a, b []byte, equal bool) int {
	for n := 0; n < len(a); {
		end := min(n+block, len(a))
		if bytes.Equal(a[n:end], b[n:end]) != equal {
			return n
		}
		n = end
	}
	return len(a)
}
