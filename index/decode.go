package index

import (
	"encoding/binary"
	"math"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// decoder reads a record from the front. After a failure it returns zeros, so that one look at failed at
// the end is enough. It never reads beyond its input and never allocates more than its input explains.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed = true
	d.rest = nil
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// upTo reads a number that is at most limit.
func (d *decoder) upTo(limit uint64) uint64 {
	v := d.uvarint()
	if v > limit {
		d.fail()
		return 0
	}
	return v
}

func (d *decoder) uint32() uint32 { return uint32(d.upTo(math.MaxUint32)) }

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

func (d *decoder) time() replica.Time {
	sec := unzigzag(d.uvarint())
	return replica.Time{Sec: sec, Nsec: d.uint32()}
}

// attr reads the fields that same does not name, and takes the others from base.
func (d *decoder) attr(base replica.Attr, same uint64) replica.Attr {
	a := base
	for i, field := range []*uint32{&a.Mode, &a.UID, &a.GID, &a.Nlink} {
		if same&(1<<i) == 0 {
			*field = d.uint32()
		}
	}
	if same&sameRdev == 0 {
		a.Rdev = d.uvarint()
	}
	if same&sameSize == 0 {
		a.Size = unzigzag(d.uvarint())
	}
	if same&sameIno == 0 {
		a.Ino = d.uvarint()
	}
	if same&sameMtime == 0 {
		a.Mtime = d.time()
	}
	if same&sameCtime == 0 {
		a.Ctime = d.time()
	}
	return a
}

func (d *decoder) names() []Name {
	count := d.uvarint()
	if count > uint64(len(d.rest))/2 { // each takes two lengths at least
		if count > 0 {
			d.fail()
		}
		return nil
	}
	var names []Name
	if count > 0 {
		names = make([]Name, 0, count)
	}
	for range count {
		parent := d.string()
		names = append(names, Name{Parent: weir.Handle(parent), Name: d.string()})
	}
	return names
}
