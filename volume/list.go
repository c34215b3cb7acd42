package volume

import (
	"context"
	"sync"

	"github.com/weirfs/weir"
)

// Listing is what is mounted at one moment.
type Listing struct {
	Volumes    []weir.VolumeInfo
	OutOfSight []string // in full sentences: where there may be more
}

// List returns the volumes that are mounted now, once, in the order in which they were found: first those of weir's own
// mount namespace, then those that only others show. A volume that does not answer within a second is told with what
// is known without it.
func List(ctx context.Context, options Options) (Listing, error) {
	w := New(options)
	if _, err := w.fresh(); err != nil {
		return Listing{}, err
	}
	w.looking.Lock()
	w.lookElsewhere(true, restless)
	w.looking.Unlock()
	w.mu.Lock()
	var present []*volume
	for _, in := range w.model.present {
		present = append(present, w.volumes[in.id])
	}
	w.mu.Unlock()
	infos := make([]weir.VolumeInfo, len(present))
	var all sync.WaitGroup
	for i, v := range present {
		all.Go(func() {
			v.examined()
			infos[i] = v.Info()
		})
	}
	all.Wait()
	return Listing{infos, w.OutOfSight()}, ctx.Err()
}
