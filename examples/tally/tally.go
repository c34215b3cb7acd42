// Package tally is a filter that observes: it counts the changes in every directory.
package tally

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/weirfs/weir"
)

// Tally is what was counted. It is safe for concurrent use.
type Tally struct {
	mu      sync.Mutex
	volumes map[weir.VolumeID]*instance
}

// New makes an empty tally.
func New() *Tally { return &Tally{volumes: map[weir.VolumeID]*instance{}} }

// Filter returns what a manager registers.
func (t *Tally) Filter() *weir.Filter {
	return &weir.Filter{
		Name:     "tally",
		Altitude: weir.MustAltitude("365000"), // among the activity monitors
		Single:   true,                        // it counts by volume
		Wants:    weir.Changes,
		Setup:    t.setup,
	}
}

func (t *Tally) setup(_ context.Context, site weir.Site) (weir.Instance, error) {
	if site.Volume.Info().Pseudo {
		return nil, weir.ErrDecline
	}
	in := &instance{tally: t, volume: site.Volume, changes: map[weir.Handle]int{}}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.volumes[site.Volume.ID()] = in
	return in, nil
}

// Count returns the changes in each directory of a volume, by path, and whether there may have been more.
func (t *Tally) Count(ctx context.Context, volume weir.VolumeID) (changes map[string]int, more bool, err error) {
	t.mu.Lock()
	in := t.volumes[volume]
	t.mu.Unlock()
	if in == nil {
		return nil, false, &weir.Error{Op: "count changes", Kind: weir.KindAbsent, Err: errors.New("the volume is not counted")}
	}
	in.mu.Lock()
	counted, more := maps.Clone(in.changes), in.lost
	in.mu.Unlock()
	paths, err := in.volume.Locate(ctx, slices.Collect(maps.Keys(counted))) // this takes time: Completed does not wait for it
	changes = map[string]int{}
	for dir, path := range paths {
		changes[path] = counted[dir]
	}
	return changes, more, err
}

// instance is the filter on one volume.
type instance struct {
	tally  *Tally
	volume weir.Volume

	mu      sync.Mutex
	changes map[weir.Handle]int
	lost    bool
}

// Completed implements weir.Instance. A directory is known by its handle, which stays when it is renamed.
func (in *instance) Completed(operations []weir.Operation) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, op := range operations {
		in.changes[op.Dir]++
	}
}

// Lost implements weir.Instance. Whoever needs to know what was lost looks everywhere; here it is enough to say so.
func (in *instance) Lost(string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lost = true
}

// Changed implements weir.Instance.
func (in *instance) Changed() {}

// Teardown implements weir.Instance.
func (in *instance) Teardown(context.Context, weir.TeardownReason) {
	in.tally.mu.Lock()
	defer in.tally.mu.Unlock()
	delete(in.tally.volumes, in.volume.ID())
}
