package fanotify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"

	"github.com/weirfs/weir"
	sys "github.com/weirfs/weir/internal/sys/fanotify"
)

// Options configures a Plane. The zero value works.
type Options struct {
	// Groups is how many groups the plane may make before volumes share them. 0 means half of what
	// the kernel allows, read again whenever a group is needed.
	Groups int

	// Logger is told of trouble with reading. The default discards.
	Logger *slog.Logger
}

// Plane observes volumes by fanotify. It is safe for concurrent use.
type Plane struct {
	options  Options
	newGroup func(flags uint) (*sys.Group, error) // sys.NewGroup, but for tests of its refusal

	mu     sync.Mutex
	groups []*group
	closed bool
}

var _ weir.Plane = (*Plane)(nil)

// New returns a plane that observes nothing yet.
func New(options Options) *Plane {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &Plane{options: options, newGroup: sys.NewGroup}
}

// Name implements weir.Plane.
func (p *Plane) Name() string { return "fanotify" }

const reach = weir.Changes | weir.OpOpen | weir.OpAccess

// Reach implements weir.Plane.
func (p *Plane) Reach() weir.Reach {
	return weir.Reach{Completed: reach}
}

// Blind implements weir.Plane. Each entry was measured on Linux 6.18.
func (p *Plane) Blind() []string {
	return []string{
		"stores through a shared mapping are told at the last unmap only, as a close",
		"stores through a loop device, a swap file or another writer in the kernel are not told",
		"chattr and project ids are not told",
		"the whiteout that renameat2 with RENAME_WHITEOUT leaves behind is not told",
		"a subvolume or snapshot that is made or deleted, and a directory that is moved, is told once for the whole tree",
		"changes made by other hosts of a network or cluster file system are not told",
		"writes to the block device itself are not told",
	}
}

// Attach implements weir.Plane. It marks the superblock of volume through one of its mounts, in whatever
// namespace. Besides KindUnsupported and KindAbsent it returns KindFailed when the kernel has no group,
// mark or memory left, which may pass.
func (p *Plane) Attach(ctx context.Context, volume weir.Volume, wants weir.Demand, sink weir.Sink) (weir.Attachment, error) {
	lease, err := volume.Borrow(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("attach fanotify: %w", err)
	}
	defer lease.Close()
	dir, release, err := markable(volume, lease)
	if err != nil {
		return nil, err
	}
	defer release()
	fsid, err := sys.FilesystemID(dir)
	if err != nil {
		return nil, attachError(volume, err)
	}
	a := &attachment{plane: p, volume: volume, sink: sink, fsid: fsid, wants: wants}
	if err := p.join(a); err != nil {
		return nil, attachError(volume, err)
	}
	err = a.group.try(dir)
	if err == nil {
		err = a.group.mark(volume.ID(), dir)
	}
	if err != nil {
		p.leave(a)
		return nil, attachError(volume, err)
	}
	return a, nil
}

// markable returns a directory through which the kernel accepts a mark on the superblock: on btrfs the
// top directory, whichever subvolume is mounted, else the lease's own.
func markable(volume weir.Volume, lease weir.Lease) (dir int, release func(), err error) {
	if volume.Info().Identity.FSType != "btrfs" {
		return lease.FD(), func() {}, nil
	}
	top, err := sys.BtrfsTop(lease.FD())
	if err != nil {
		return -1, nil, attachError(volume, err)
	}
	return top.Int(), func() { _ = top.Close() }, nil
}

// attachError says what errno means for the volume.
func attachError(volume weir.Volume, err error) error {
	e := &weir.Error{Op: "attach fanotify", Kind: weir.KindFailed, Path: volume.Info().Source, Err: err}
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EXDEV):
		e.Kind = weir.KindUnsupported
		e.Hint = "the file system has no handles or no id to tell changes by, so it can only be scanned"
	case errors.Is(err, syscall.EPERM):
		e.Kind = weir.KindUnsupported
		e.Hint = "run weir with CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH"
	case errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ENOENT):
		e.Kind = weir.KindAbsent
	case errors.Is(err, syscall.EMFILE):
		e.Hint = "other programs use all fanotify groups: raise the sysctl fs.fanotify.max_user_groups or stop one of them"
	case errors.Is(err, syscall.ENOSPC):
		e.Hint = "raise the sysctl fs.fanotify.max_user_marks"
	}
	return e
}

// Close implements weir.Plane. It may be called twice.
func (p *Plane) Close() error {
	p.mu.Lock()
	groups := p.groups
	p.groups, p.closed = nil, true
	p.mu.Unlock()
	var errs []error
	for _, g := range groups {
		for _, a := range g.all() {
			a.gate.shut()
		}
		errs = append(errs, g.close())
	}
	return errors.Join(errs...)
}
