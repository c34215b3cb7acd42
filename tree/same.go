package tree

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/clone"
)

// SameData reports whether two files have the same size and bytes; a hole equals zeros. Ranges that are holes
// in both are not read.
func SameData(ctx context.Context, a, b *File) (bool, error) {
	return SameDataSlowly(ctx, a, b, nil)
}

// SameDataSlowly is SameData that calls throttle, if it is not nil, before each part of a is read.
func SameDataSlowly(ctx context.Context, a, b *File, throttle func(ctx context.Context, bytes int) error) (bool, error) {
	at, err := firstDifference(ctx, a, b, throttle)
	return at < 0, err
}

// firstDifference returns the offset of the first byte that differs or that only one file has, or -1.
func firstDifference(ctx context.Context, a, b *File, throttle func(context.Context, int) error) (int64, error) {
	if throttle == nil {
		throttle = func(context.Context, int) error { return nil }
	}
	offset, err := differenceFrom(ctx, a.FD(), b.FD(), throttle)
	if err != nil {
		return 0, fmt.Errorf("compare data: %w", err)
	}
	return offset, nil
}

func differenceFrom(ctx context.Context, a, b int, throttle func(context.Context, int) error) (int64, error) {
	x, err := at.StatFD(a)
	if err != nil {
		return 0, err
	}
	y, err := at.StatFD(b)
	if err != nil {
		return 0, err
	}
	size := min(x.Size, y.Size)
	buf, other := make([]byte, min(size, copyBuffer)), make([]byte, min(size, copyBuffer))
	for offset := int64(0); offset < size; {
		start, end, err := either(a, b, offset, size)
		if err != nil {
			return 0, err
		}
		for start < end {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			n := min(end-start, int64(len(buf)))
			if err := throttle(ctx, int(n)); err != nil {
				return 0, err
			}
			if d, err := pieceDifference(a, b, start, buf[:n], other[:n]); err != nil || d >= 0 {
				return start + int64(d), err
			}
			start += n
		}
		offset = end
	}
	if x.Size != y.Size {
		return size, nil
	}
	return -1, nil
}

// either returns the first range from offset on in which at least one of the files has data.
func either(a, b int, offset, size int64) (start, end int64, err error) {
	start, end = size, size
	for _, n := range []int{a, b} {
		from, to, ok, err := clone.Data(n, offset, size)
		if err != nil {
			return 0, 0, fmt.Errorf("find data: %w", err)
		}
		if ok && from < start {
			start, end = from, to
		}
	}
	return start, end, nil
}

// pieceDifference returns the index of the first difference in a piece, or -1.
func pieceDifference(a, b int, offset int64, buf, other []byte) (int, error) {
	n, err := at.ReadAt(a, buf, offset)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("read: %w", err)
	}
	m, err := at.ReadAt(b, other, offset)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("read: %w", err)
	}
	if bytes.Equal(buf[:n], other[:m]) {
		return -1, nil
	}
	n = min(n, m)
	for i := range n {
		if buf[i] != other[i] {
			return i, nil
		}
	}
	return n, nil
}
