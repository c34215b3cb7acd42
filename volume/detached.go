package volume

import (
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// Detached is a volume that no mount shows any more and that lives on, because something on it is still open.
type Detached struct {
	Info weir.VolumeInfo `json:"info"` // without Mounts; Was says where it was
	Left time.Time       `json:"left"`
}

// departed is a volume that has left with a sentinel on it, which tells for how long it lives on.
type departed struct {
	volume *volume
	left   time.Time
}

// manyDeparted is how many volumes that have left are remembered until it is looked which of them live on.
const manyDeparted = 64

// departLocked remembers a volume that leaves. mu is held.
func (w *Watcher) departLocked(v *volume) {
	if !v.guarded {
		return // Nothing would tell when it is gone.
	}
	w.forgetLocked(v)
	w.departed = append(w.departed, departed{v, time.Now()})
}

// forgetLocked forgets, and returns, the volume that had the device of another one before. mu is held.
func (w *Watcher) forgetLocked(v *volume) (former *volume) {
	w.departed = slices.DeleteFunc(w.departed, func(d departed) bool {
		same := d.volume.device == v.device
		if same {
			former = d.volume
		}
		return same
	})
	return former
}

// reunite finds out which of the volumes that have arrived are of a superblock that has left and lived on: no sentinel has
// been placed on any of them since, so one that stands there is the former one's. looking is held.
func (w *Watcher) reunite(notices []notice) {
	former := map[*volume]*volume{}
	w.mu.Lock()
	for _, n := range notices {
		if n.kind != tellArrived {
			continue
		}
		if old := w.forgetLocked(n.volume); old != nil {
			former[n.volume] = old
		}
	}
	many := len(w.departed) > manyDeparted
	w.mu.Unlock()
	if many || len(former) > 0 {
		living := w.pruneDeparted()
		w.mu.Lock()
		defer w.mu.Unlock()
		for v, old := range former {
			if living[v.device] {
				v.former = old.id
			}
		}
	}
}

// Detached lists the volumes that no mount shows any more and that live on, in the order in which they left: those that a
// running Watcher had looked at before. It touches none of them.
func (w *Watcher) Detached() []Detached {
	_ = w.look() // With an error it is what was seen last.
	w.looking.Lock()
	w.pruneDeparted()
	w.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(w.departed), func(d departed) bool { return w.model.onDevice(d.volume.device) != nil })
	w.mu.Unlock()
	w.looking.Unlock()
	var detached []Detached
	for _, d := range list {
		detached = append(detached, Detached{d.volume.Info(), d.left})
	}
	return detached
}

// pruneDeparted forgets the volumes that are no more, and returns the devices of those that live. looking is held.
func (w *Watcher) pruneDeparted() (living map[mount.Device]bool) {
	if w.eyes != nil && w.eyes.sentinels != nil {
		var err error
		if living, err = w.eyes.sentinels.Living(); err != nil {
			w.log.Error("sentinels cannot be read", "error", err)
			return nil
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.departed = slices.DeleteFunc(w.departed, func(d departed) bool { return !living[d.volume.device] })
	return living
}
