package tree

import (
	"sync"
	"sync/atomic"
)

// Pair is what copies from files of one file system to files of another one share: buffers, and that the two
// share no blocks once that is known. It is good for as long as both stay mounted; a subvolume of btrfs is no
// file system of its own. The zero value works. It is safe for concurrent use and must not be copied.
type Pair struct {
	apart   atomic.Bool
	buffers sync.Pool // of *[]byte with copyBuffer bytes
}

func (p *Pair) isApart() bool { return p != nil && p.apart.Load() }

func (p *Pair) setApart() {
	if p != nil {
		p.apart.Store(true)
	}
}

// pooled is the size, in bytes, from which a buffer is worth keeping.
const pooled = 32 << 10

// lend returns a buffer of size bytes, at most copyBuffer.
func (p *Pair) lend(size int64) []byte {
	if p == nil || size < pooled {
		return make([]byte, size)
	}
	if buf, ok := p.buffers.Get().(*[]byte); ok {
		return (*buf)[:size]
	}
	return make([]byte, size, copyBuffer)
}

// take takes back what lend returned.
func (p *Pair) take(buf []byte) {
	if p == nil || cap(buf) < copyBuffer {
		return
	}
	buf = buf[:copyBuffer]
	p.buffers.Put(&buf)
}
