package tree

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/clone"
)

const (
	copyBuffer  = 128 << 10 // bytes; larger ones leave the processor's cache
	copyInside  = 4 << 20   // bytes that the kernel copies in one call
	insideWorth = 256 << 10 // size from which copying inside the kernel pays
)

// CopyOptions says how CopyData copies. The zero value works.
type CopyOptions struct {
	// Throttle, if set, is called before each piece of n bytes is read from the source, and may wait. Its
	// error ends the copy. Data that is shared rather than copied is not counted.
	Throttle func(ctx context.Context, n int) error

	// Progress, if set, is called after each piece, with the bytes that were read and written since the last call.
	Progress func(read, written int64)

	// NoClone copies where sharing the source's blocks would be possible.
	NoClone bool

	// Source, if set, is what File.Stat told of the source a moment ago: it saves a system call.
	Source *Object

	// Pair, if set, is what copies from this file system to that one share.
	Pair *Pair
}

// CopyResult says what CopyData did.
type CopyResult struct {
	Read    int64 // bytes read from the source
	Written int64 // bytes written to the destination
	Cloned  bool  // whether the destination shares all of the source's blocks
}

// CopyData gives dst, a new and empty file, the content of src. Holes stay holes, and space that was
// allocated but never written becomes a hole. Where both lie on one file system that can, the blocks are
// shared. Otherwise, with base, an older version on dst's file system, dst shares base's blocks where the
// file system can, and only blocks that differ are written; a file of 128 KiB or less is written as a whole. A
// file that becomes shorter meanwhile is copied as far as it goes; whether it stood still is for the caller to
// find out. ctx is looked at every 4 MiB or more often.
func CopyData(ctx context.Context, dst, src, base *File, o CopyOptions) (CopyResult, error) {
	c := copier{ctx: ctx, dst: dst.FD(), src: src.FD(), throttle: o.Throttle, progress: o.Progress, pair: o.Pair}
	err := c.run(base, o)
	c.pair.take(c.buf)
	if err != nil {
		err = fmt.Errorf("copy data: %w", err)
	}
	return c.result, err
}

// copier copies one file.
type copier struct {
	ctx      context.Context
	dst, src int
	throttle func(context.Context, int) error
	progress func(read, written int64)
	pair     *Pair // perhaps nil
	size     int64
	begun    int64 // what lies before it is on its way to the device
	inside   bool  // whether the kernel is asked to copy
	zeros    bool  // whether blocks of zeros are left out
	buf, old []byte
	result   CopyResult
}

// errShorter ends a copy whose source has become shorter.
var errShorter = errors.New("source has become shorter")

func (c *copier) run(base *File, o CopyOptions) error {
	blocks, err := c.look(o.Source)
	if err != nil || c.size == 0 {
		return err
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if !o.NoClone && !c.pair.isApart() {
		if err := c.share(); err != nil || c.result.Cloned {
			return err
		}
	}
	c.buf = c.pair.lend(min(c.size, copyBuffer))
	if c.solid(blocks) {
		return c.end(c.copyRange(0, c.size))
	}
	delta, shared := false, int64(0)
	if base != nil {
		if delta, shared, err = c.start(base); err != nil {
			return err
		}
	}
	if err := c.fits(blocks, shared); err != nil {
		return err
	}
	// First of all, so that a file that is too large for the target is refused at once.
	if err := at.Truncate(c.dst, c.size); err != nil {
		return fmt.Errorf("set size: %w", err)
	}
	if delta {
		return c.end(c.update())
	}
	return c.end(c.whole(blocks))
}

// look finds out the size of the source, and how many blocks of 512 bytes it has.
func (c *copier) look(known *Object) (blocks int64, err error) {
	if known != nil {
		c.size = known.Size
		return known.Blocks, nil
	}
	s, err := at.StatFD(c.src)
	c.size = s.Size
	return s.Blocks, err
}

// share makes dst share the blocks of the source, where that can be.
func (c *copier) share() error {
	err := clone.Whole(c.dst, c.src)
	switch {
	case err == nil:
		c.result.Cloned = true
	case clone.OtherFileSystem(err):
		c.pair.setApart()
	case clone.Unable(err):
		c.inside = c.size >= insideWorth
	default:
		return fmt.Errorf("share blocks: %w", err)
	}
	return nil
}

// solid reports whether a file is small enough for one buffer and has no holes, so that nothing need be
// prepared.
func (c *copier) solid(blocks int64) bool {
	switch {
	case c.size <= block:
		return blocks > 0
	case c.size <= copyBuffer:
		return blocks*512 >= c.size && clone.Solid(c.src, c.size)
	}
	return false
}

// start makes dst share the blocks of the old version, of 512 bytes each; false where that cannot be.
func (c *copier) start(base *File) (delta bool, shared int64, err error) {
	err = clone.Whole(c.dst, base.FD())
	if err != nil && clone.Unable(err) {
		return false, 0, nil
	}
	var s at.Stat
	if err == nil {
		s, err = at.StatFD(c.dst)
	}
	if err != nil {
		return false, 0, fmt.Errorf("share blocks of the old version: %w", err)
	}
	c.old = make([]byte, len(c.buf))
	return true, s.Blocks, nil
}

// end takes the size of a source that has become shorter.
func (c *copier) end(err error) error {
	if err != errShorter {
		return err
	}
	s, err := at.StatFD(c.src)
	if err != nil {
		return err
	}
	return at.Truncate(c.dst, min(c.size, s.Size))
}

// whole copies all ranges of data into an empty file.
func (c *copier) whole(blocks int64) error {
	for offset := int64(0); ; {
		start, end, ok, err := clone.Data(c.src, offset, c.size)
		if err != nil {
			return fmt.Errorf("find data: %w", err)
		}
		if !ok {
			return nil
		}
		// A file with fewer blocks than its size needs, and yet no holes, lies on a file system that
		// does not tell them.
		c.zeros = start == 0 && end == c.size && blocks*512 < c.size
		if err := c.copyRange(start, end); err != nil {
			return err
		}
		offset = end
	}
}

func (c *copier) copyRange(start, end int64) error {
	c.begun = max(c.begun, start)
	for start < end {
		var n int64
		var err error
		if c.inside && !c.zeros {
			n, err = c.copyInside(start, end)
		} else {
			n, err = c.copyBuffered(start, end)
		}
		if err != nil {
			return err
		}
		start += n
		if err := c.writeOut(start); err != nil {
			return err
		}
	}
	return nil
}

// writeBehind is how much of a large copy may be dirty. Whoever makes a small file durable on the same
// file system waits for about that much.
const writeBehind = 8 << 20

// writeOut has what lies before offset written by the device, piece by piece while more is copied.
func (c *copier) writeOut(offset int64) error {
	for offset-c.begun >= writeBehind {
		if err := at.WriteOut(c.dst, c.begun, writeBehind, false); err != nil {
			return fmt.Errorf("write out: %w", err)
		}
		if before := c.begun - writeBehind; before >= 0 {
			if err := at.WriteOut(c.dst, before, writeBehind, true); err != nil {
				return fmt.Errorf("write out: %w", err)
			}
		}
		c.begun += writeBehind
	}
	return nil
}

// copyInside lets the kernel copy a piece; it copies nothing and turns itself off where the kernel cannot.
func (c *copier) copyInside(start, end int64) (int64, error) {
	piece := min(end-start, copyInside)
	if err := c.before(piece); err != nil {
		return 0, err
	}
	n, err := clone.Range(c.dst, c.src, start, int(piece))
	if err != nil && clone.Unable(err) {
		c.inside = false
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("copy inside the kernel: %w", err)
	}
	if n == 0 {
		return 0, errShorter
	}
	c.passed(n, n)
	return int64(n), nil
}

func (c *copier) copyBuffered(start, end int64) (int64, error) {
	piece, err := c.read(start, end)
	if err != nil {
		return 0, err
	}
	if c.zeros {
		err = c.writeChanged(piece, make([]byte, len(piece)), start)
	} else {
		err = c.write(piece, start)
	}
	return int64(len(piece)), err
}

// read reads a piece of the source.
func (c *copier) read(start, end int64) ([]byte, error) {
	piece := c.buf[:min(end-start, int64(len(c.buf)))]
	if err := c.before(int64(len(piece))); err != nil {
		return nil, err
	}
	n, err := at.ReadAt(c.src, piece, start)
	c.passed(n, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read: %w", err)
	}
	if n == 0 {
		return nil, errShorter
	}
	return piece[:n], nil
}

func (c *copier) write(piece []byte, offset int64) error {
	n, err := at.WriteAt(c.dst, piece, offset)
	c.passed(0, n)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// passed counts bytes, as soon as they were read or written.
func (c *copier) passed(read, written int) {
	c.result.Read += int64(read)
	c.result.Written += int64(written)
	if c.progress != nil {
		c.progress(int64(read), int64(written))
	}
}

// before is called before n bytes are read.
func (c *copier) before(n int64) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.throttle == nil {
		return nil
	}
	return c.throttle(c.ctx, int(n))
}
