package volume

import (
	"context"
	"errors"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// verdicts reads the sentinels. The result is to be called with mu held.
func (w *Watcher) verdicts() func(weir.VolumeID) verdict {
	if w.eyes == nil || w.eyes.sentinels == nil {
		return unguarded
	}
	living, err := w.eyes.sentinels.Living()
	if err != nil {
		w.log.Error("sentinels cannot be read", "error", err)
		return unguarded
	}
	return func(id weir.VolumeID) verdict {
		switch v := w.volumes[id]; {
		case !v.guarded:
			return unwatched
		case living[v.device]:
			return alive
		}
		return dead
	}
}

// guardLimit bounds how long a volume that does not answer holds up the others.
const guardLimit = 50 * time.Millisecond

// guard places sentinels on the volumes that have arrived, where mounts are told apart by them: elsewhere a volume gets its
// own when it is looked at. looking is held.
func (w *Watcher) guard(notices []notice) {
	if w.eyes == nil || w.eyes.events != nil || w.eyes.sentinels == nil {
		return
	}
	var entries []mount.Entry
	for _, n := range notices {
		if n.kind != tellArrived || pseudo(n.volume.fsType) || w.model.away(n.volume.id) {
			continue // what only others show gets its sentinel when it is entered
		}
		if entries == nil {
			entries = w.model.entries()
		}
		err := w.guardOne(n.volume, entries)
		w.mu.Lock()
		n.volume.guarded = err == nil
		w.mu.Unlock()
		if err != nil {
			w.log.Debug("no sentinel", "volume", n.volume.id, "type", n.volume.fsType, "error", err)
		}
	}
}

func (w *Watcher) guardOne(v *volume, entries []mount.Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), guardLimit)
	defer cancel()
	root, err := w.openVolume(ctx, v, entries, mount.Place)
	if err != nil {
		return err
	}
	return errors.Join(w.eyes.sentinels.Place(root), root.Close())
}
