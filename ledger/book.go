package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/weirfs/weir"
)

// How many closed gaps, open gaps on volumes that have left, and volumes that have left, a compaction keeps. Of memory
// volumes nothing will ever close such a gap, so that the oldest are counted in the end instead of kept.
const (
	keepClosed = 1024
	keepOver   = 16384
	keepLeft   = 256
)

// volumeKey names a volume over all sessions.
type volumeKey struct {
	session uint64
	id      weir.VolumeID
}

// book is what the records say, as a value.
type book struct {
	session uint64
	last    time.Time // of the last record
	lastGap uint64
	dropped uint64 // open gaps that were forgotten
	volumes map[volumeKey]*Volume
	gaps    map[uint64]*Gap
}

func newBook() *book {
	return &book{volumes: map[volumeKey]*Volume{}, gaps: map[uint64]*Gap{}}
}

// apply adds a record. A record that refers to something unknown, because what it refers to was damaged,
// changes nothing.
func (b *book) apply(r record) {
	if r.At.After(b.last) {
		b.last = r.At
	}
	v := b.volumes[volumeKey{b.session, r.ID}]
	switch r.Kind {
	case kindHeader:
		b.dropped = r.Dropped
	case kindSession:
		b.session = r.Session
	case kindVolume:
		if r.Volume != nil {
			b.volumes[volumeKey{r.Volume.Session, r.Volume.ID}] = r.Volume
		}
	case kindLeft:
		if v != nil {
			b.left(v, r.At)
		}
	case kindSlot:
		if v != nil {
			v.setSlot(Slot{Volume: v.ID, Filter: r.Filter, Instance: r.Name, State: r.State, Why: r.Why, Since: r.At})
		}
	case kindSight:
		if v != nil {
			v.Sight, v.SightWhy = r.State, r.Why
		}
	case kindGap:
		if r.Gap != nil {
			b.gaps[r.Gap.ID] = r.Gap
			b.lastGap = max(b.lastGap, r.Gap.ID)
		}
	case kindClosed:
		if g := b.gaps[r.Closed]; g != nil {
			g.ClosedBy = r.By
			g.end(r.At)
		}
	}
}

// left ends a volume, and its open gaps, which nobody will close in this session.
func (b *book) left(v *Volume, at time.Time) {
	v.Left, v.Slots = at, nil
	for _, g := range b.gaps {
		if g.Session == v.Session && g.Volume == v.ID {
			g.end(at)
		}
	}
}

func (v *Volume) setSlot(s Slot) {
	i, found := slices.BinarySearchFunc(v.Slots, s, func(a, b Slot) int {
		return cmp.Or(cmp.Compare(a.Filter, b.Filter), cmp.Compare(a.Instance, b.Instance))
	})
	switch {
	case found && s.State == "":
		v.Slots = slices.Delete(v.Slots, i, i+1)
	case found:
		v.Slots[i] = s
	case s.State != "":
		v.Slots = slices.Insert(v.Slots, i, s)
	}
}

// sortedVolumes returns copies, the oldest first.
func (b *book) sortedVolumes() []Volume {
	var list []Volume
	for _, v := range b.volumes {
		c := *v
		c.Slots, c.Points = slices.Clone(v.Slots), slices.Clone(v.Points)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Volume) int {
		return cmp.Or(cmp.Compare(a.Session, b.Session), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// sortedGaps returns copies, the oldest first.
func (b *book) sortedGaps() []Gap {
	var list []Gap
	for _, g := range b.gaps {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b Gap) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// forget drops the oldest of what is over.
func (b *book) forget() {
	closed, over := 0, 0
	for _, g := range slices.Backward(b.sortedGaps()) {
		if !g.Open() {
			if closed++; closed > keepClosed {
				delete(b.gaps, g.ID)
			}
		} else if !g.To.IsZero() {
			if over++; over > keepOver {
				delete(b.gaps, g.ID)
				b.dropped++
			}
		}
	}
	over = 0
	for _, v := range slices.Backward(b.sortedVolumes()) {
		if !v.Left.IsZero() {
			if over++; over > keepLeft {
				delete(b.volumes, volumeKey{v.Session, v.ID})
			}
		}
	}
}

// records says everything again, in as few records as possible.
func (b *book) records() []record {
	list := []record{{Kind: kindHeader, Version: version, At: b.last, Dropped: b.dropped}}
	for _, v := range b.sortedVolumes() {
		list = append(list, record{Kind: kindVolume, At: v.Arrived, Volume: &v})
	}
	for _, g := range b.sortedGaps() {
		list = append(list, record{Kind: kindGap, At: g.From, Gap: &g})
	}
	return append(list, record{Kind: kindSession, At: b.last, Session: b.session})
}
