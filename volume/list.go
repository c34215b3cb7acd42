package volume

import (
	"context"
	"sync"

	"github.com/weirfs/weir"
)

// List returns the volumes that are mounted now, once, in the order in which they were made. Besides weir's
// own mount namespace it looks into all others where the kernel lets it (Linux 6.12). A volume that does not
// answer within a second is told with what is known without it.
func List(ctx context.Context, options Options) ([]weir.VolumeInfo, error) {
	w := New(options)
	if _, err := w.fresh(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	var present []*volume
	for _, in := range w.model.present {
		present = append(present, w.volumes[in.id])
	}
	w.mu.Unlock()
	infos := make([]weir.VolumeInfo, len(present))
	var all sync.WaitGroup
	for i, v := range present {
		all.Go(func() { infos[i] = v.Info() })
	}
	all.Wait()
	return addForeign(infos, w.listForeign()), ctx.Err()
}
