package verify

import (
	"cmp"
	"context"
	"sync"

	"github.com/weirfs/weir"
)

// volume is what a filter that is watched has of a volume.
type volume struct {
	weir.Volume
	in *instance
}

// Borrow implements weir.Volume.
func (v *volume) Borrow(ctx context.Context, path string) (weir.Lease, error) {
	v.in.use("Volume.Borrow")
	inner, err := v.Volume.Borrow(ctx, path)
	if err != nil {
		return nil, err
	}
	t := v.in.take(leakedLease, "a lease of %s", weir.QuotePath(cmp.Or(path, "the whole volume")))
	return &lease{inner, sync.OnceFunc(func() { v.in.give(t) })}, nil
}

// lease is one that the filter has to give back.
type lease struct {
	weir.Lease
	give func()
}

// Close implements weir.Lease.
func (l *lease) Close() error {
	l.give()
	return l.Lease.Close()
}

// concerns is the Concerns of a filter that is watched. What it borrows it has given back when it returns.
func (v *Verifier) concerns(ctx context.Context, f *weir.Filter, of weir.Volume) (err error) {
	in := &instance{verifier: v, filter: f, volume: of.ID(), taken: map[*taken]bool{}}
	defer in.reportTaken()
	v.watch(nil, v.options.Setup, in.violation(slowSetup, nil, "Concerns for volume %d", of.ID()), func() { err = f.Concerns(ctx, &volume{of, in}) })
	return err
}
