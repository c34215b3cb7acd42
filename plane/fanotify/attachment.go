package fanotify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// unmarkTimeout bounds how long Detach waits for a volume to be borrowed.
const unmarkTimeout = 2 * time.Second

// attachment is one volume in a group.
type attachment struct {
	plane  *Plane
	volume weir.Volume
	sink   weir.Sink
	fsid   uint64
	group  *group      // set by Plane.join
	wants  weir.Demand // guarded by group.mu
	gate   gate
	once   sync.Once

	// batch collects the operations of one read. It belongs to the group's reader.
	batch []weir.Operation
}

// Detach implements weir.Attachment.
func (a *attachment) Detach() error {
	a.gate.shut()
	a.once.Do(func() { a.plane.leave(a) })
	return nil
}

// deliver hands the batch over and empties it.
func (a *attachment) deliver() {
	if len(a.batch) > 0 && a.gate.enter() {
		a.sink.Deliver(a.batch)
		a.gate.leave()
	}
	clear(a.batch) // names and handles must not stay in memory
	a.batch = a.batch[:0]
}

func (a *attachment) lost(reason string) {
	if a.gate.enter() {
		a.sink.Lost(reason)
		a.gate.leave()
	}
}

// Want implements weir.Attachment.
func (a *attachment) Want(ctx context.Context, wants weir.Demand) error {
	before := a.group.set(a, wants)
	err := a.remark(ctx)
	if err != nil {
		a.group.set(a, before)
	}
	return err
}

// remark brings the volume's mark in line with what is wanted.
func (a *attachment) remark(ctx context.Context) error {
	lease, err := a.volume.Borrow(ctx, "")
	if err != nil {
		return fmt.Errorf("mark volume: %w", err)
	}
	defer lease.Close()
	dir, release, err := markable(a.volume, lease)
	if err != nil {
		return err
	}
	defer release()
	if err := a.group.mark(a.volume.ID(), dir); err != nil {
		return attachError(a.volume, err)
	}
	return nil
}

// unmark takes from the volume what it alone was marked for. Where the volume is gone its mark is gone too; where it is there
// but out of reach, the mark stays until the group ends, and its events are dropped for want of a route.
func (a *attachment) unmark() {
	ctx, cancel := context.WithTimeout(context.Background(), unmarkTimeout)
	defer cancel()
	if err := a.remark(ctx); err != nil {
		a.plane.options.Logger.Debug("fanotify mark stays until its group ends", "volume", a.volume.ID(), "error", err)
	}
}
