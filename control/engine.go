package control

import (
	"context"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/manifest"
	"github.com/weirfs/weir/volume"
)

// Engine is what a running weir can do for requests. It is safe for concurrent use.
type Engine interface {
	// Snapshot returns everything at one epoch.
	Snapshot() manager.Snapshot

	// Wait blocks until a snapshot is as it should be, or ctx ends.
	Wait(ctx context.Context, holds func(manager.Snapshot) bool) error

	// Attach asks for an instance, and Detach takes one away, if it consents. They return before that is done.
	Attach(filter, instance string, volume weir.VolumeID) error
	Detach(ctx context.Context, filter, instance string, volume weir.VolumeID, by string) error

	// Load starts a filter that is compiled in, with the instances of a manifest unless that is nil, and Unload stops one;
	// unless it is mandatory the filter may refuse. by says who asked. Unload returns when the last instance has ended, or
	// ctx has.
	Load(filter string, instances *manifest.Manifest) error
	Unload(ctx context.Context, filter string, mandatory bool, by string) error

	// Loadable returns the names of the filters that are compiled in.
	Loadable() []string

	// Connect has a program take a place at a filter's port until ctx ends, if the filter admits it. With load, a filter that
	// is not loaded is, until the last program that wants it so has gone.
	Connect(ctx context.Context, filter string, peer weir.Peer, load bool) (*manager.Conversation, error)

	// Gaps returns the gaps that the ledger has, the oldest first, how many of volumes that had left it has dropped,
	// and the number of its session.
	Gaps() (gaps []ledger.Gap, dropped, session uint64)

	// Troubles says in full clauses what keeps weir itself from its work, and what to do.
	Troubles() []string

	// OutOfSight says in full sentences where there may be volumes that are not known.
	OutOfSight() []string

	// Detached lists the volumes that no mount shows any more and that live on.
	Detached() []volume.Detached

	// At returns the volume that shows a path.
	At(path string) (weir.Volume, error)

	// Resolve returns a path without symbolic links, as far as it leads, and whether it leads to a directory. What does not
	// answer, or is Broken, is an error.
	Resolve(ctx context.Context, path string) (resolved string, dir bool, err error)

	// Ignored says why a filter does nothing with what happens at a path, which Resolve has returned, on a volume that it is
	// attached to; or nothing.
	Ignored(filter string, volume weir.VolumeID, path string, dir bool) string

	// Mount mounts a file system without a gap for a process, in its mount namespace. Paths are as they are.
	Mount(ctx context.Context, wanted MountRequest, caller int) (Mounted, error)

	// Blind lists what a plane cannot see, in full clauses.
	Blind(plane string) []string
}
