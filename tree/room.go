package tree

import (
	"fmt"
	"syscall"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/clone"
)

// roomWorth is the size from which it pays to ask for room before copying.
const roomWorth = 8 << 20

// fits refuses a file for which dst's file system has no room for certain, so that the attempt does not take what
// others need. shared is how many blocks of 512 bytes dst has already. What a file system packs, or does not tell,
// is tried. The error is ENOSPC.
func (c *copier) fits(blocks, shared int64) error {
	if c.size < roomWorth {
		return nil
	}
	space, err := at.SpaceOf(c.dst)
	if err != nil || !space.Exact {
		return err
	}
	free := int64(space.RootBytes)
	needs := min(c.size, blocks*512) // Preallocated space counts in blocks, and becomes a hole.
	if needs-shared*512 <= free {
		return nil
	}
	data, err := c.data(needs)
	if err != nil || data-shared*512 <= free {
		return err
	}
	return fmt.Errorf("%d bytes of data have no room: %w", data, syscall.ENOSPC)
}

// Room returns how many bytes are free on the file's file system, by its own account.
func (f *File) Room() (int64, error) {
	space, err := at.SpaceOf(f.FD())
	if err != nil {
		return 0, fmt.Errorf("ask for room: %w", err)
	}
	return int64(space.RootBytes), nil
}

// data returns how many bytes of the source are data, up to a limit.
func (c *copier) data(limit int64) (sum int64, err error) {
	for offset := int64(0); sum < limit; {
		start, end, ok, err := clone.Data(c.src, offset, c.size)
		if err != nil {
			return 0, fmt.Errorf("find data: %w", err)
		}
		if !ok {
			break
		}
		sum, offset = sum+end-start, end
	}
	return min(sum, limit), nil
}
