package memory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/weirfs/weir"
)

// Discovery tells of volumes that a test mounts and unmounts. It is safe for concurrent use.
type Discovery struct {
	mu      sync.Mutex
	mounted []*Volume
	events  []func(weir.VolumeSink) // nil while nobody subscribes
	wake    chan struct{}           // holds one token while events wait; nil while nobody subscribes
}

var _ weir.Discovery = (*Discovery)(nil)

// Mount makes the volume known.
func (d *Discovery) Mount(v *Volume) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mounted = append(d.mounted, v)
	d.tellLocked(func(s weir.VolumeSink) { s.Arrived(v, false) })
}

// Unmount ends the volume for good: its leases are revoked, and its operations fail.
func (d *Discovery) Unmount(v *Volume) {
	v.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mounted = slices.DeleteFunc(d.mounted, func(other *Volume) bool { return other == v })
	d.tellLocked(func(s weir.VolumeSink) { s.Left(v) })
}

// Remount shows the volume at other points.
func (d *Discovery) Remount(v *Volume, points ...string) {
	v.mu.Lock()
	v.info.Mounts = nil
	for i, point := range points {
		v.info.Mounts = append(v.info.Mounts, weir.Mount{ID: uint64(v.id)*100 + uint64(i), Own: true, Root: "/", Point: point})
	}
	v.revokeLocked()
	v.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tellLocked(func(s weir.VolumeSink) { s.Changed(v) })
}

// Miss loses the events that wait, and lists again: volumes that nobody was told of arrive, those that
// have gone leave.
func (d *Discovery) Miss(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = nil
	d.tellLocked(func(s weir.VolumeSink) { s.Missed(reason) })
	d.tellLocked(nil) // the listing
}

// tellLocked queues an event; nil stands for a listing. Without a subscriber it is lost, as in the kernel.
func (d *Discovery) tellLocked(event func(weir.VolumeSink)) {
	if d.wake == nil {
		return
	}
	d.events = append(d.events, event)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run implements weir.Discovery.
func (d *Discovery) Run(ctx context.Context, sink weir.VolumeSink) error {
	told := &teller{VolumeSink: sink, known: map[*Volume]bool{}}
	d.mu.Lock()
	d.wake = make(chan struct{}, 1)
	d.tellLocked(nil)
	wake := d.wake
	d.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			d.mu.Lock()
			d.wake, d.events = nil, nil
			d.mu.Unlock()
			return nil
		case <-wake:
			d.drain(told)
		}
	}
}

func (d *Discovery) drain(told *teller) {
	d.mu.Lock()
	events := d.events
	d.events = nil
	d.mu.Unlock()
	for _, event := range events {
		if event == nil {
			d.list(told)
		} else {
			event(told)
		}
	}
}

// list tells the differences between what is mounted and what has been told.
func (d *Discovery) list(told *teller) {
	d.mu.Lock()
	mounted := slices.Clone(d.mounted)
	d.mu.Unlock()
	for _, v := range told.sorted() {
		if !slices.Contains(mounted, v) {
			told.Left(v)
		}
	}
	for _, v := range mounted {
		told.Arrived(v, true)
	}
	told.Listed()
}

// At implements weir.Discovery.
func (d *Discovery) At(path string) (weir.Volume, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var best *Volume
	length := -1
	for _, v := range d.mounted {
		for _, m := range v.Info().Mounts {
			prefix := strings.TrimSuffix(m.Point, "/")
			if (path == m.Point || strings.HasPrefix(path, prefix+"/")) && len(prefix) >= length {
				best, length = v, len(prefix)
			}
		}
	}
	if best == nil {
		return nil, &weir.Error{Op: "find volume", Kind: weir.KindAbsent, Path: path, Err: errors.New("nothing is mounted there")}
	}
	return best, nil
}

// teller tells of each volume once, however an event and a listing overlap.
type teller struct {
	weir.VolumeSink
	known map[*Volume]bool
}

func (t *teller) Arrived(v weir.Volume, listed bool) {
	if m := v.(*Volume); !t.known[m] {
		t.known[m] = true
		t.VolumeSink.Arrived(v, listed)
	}
}

func (t *teller) Left(v weir.Volume) {
	if m := v.(*Volume); t.known[m] {
		delete(t.known, m)
		t.VolumeSink.Left(v)
	}
}

func (t *teller) Changed(v weir.Volume) {
	if t.known[v.(*Volume)] {
		t.VolumeSink.Changed(v)
	}
}

func (t *teller) sorted() []*Volume {
	var list []*Volume
	for v := range t.known {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b *Volume) int { return int(a.id) - int(b.id) })
	return list
}
