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
	same, err := sameData(ctx, a.FD(), b.FD())
	if err != nil {
		return false, fmt.Errorf("compare data: %w", err)
	}
	return same, nil
}

func sameData(ctx context.Context, a, b int) (bool, error) {
	x, err := at.StatFD(a)
	if err != nil {
		return false, err
	}
	y, err := at.StatFD(b)
	if err != nil || x.Size != y.Size {
		return false, err
	}
	buf, other := make([]byte, min(x.Size, copyBuffer)), make([]byte, min(x.Size, copyBuffer))
	for offset := int64(0); offset < x.Size; {
		start, end, err := either(a, b, offset, x.Size)
		if err != nil {
			return false, err
		}
		for ; start < end; start += int64(len(buf)) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			same, err := samePiece(a, b, start, buf[:min(end-start, int64(len(buf)))], other)
			if err != nil || !same {
				return false, err
			}
		}
		offset = end
	}
	return true, nil
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

func samePiece(a, b int, offset int64, buf, other []byte) (bool, error) {
	n, err := at.ReadAt(a, buf, offset)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read: %w", err)
	}
	m, err := at.ReadAt(b, other[:len(buf)], offset)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("read: %w", err)
	}
	return bytes.Equal(buf[:n], other[:m]), nil
}
