package weir

import "context"

// Discovery finds out which volumes exist. Package volume finds the real ones; tests have them in
// memory. Implementations are safe for concurrent use.
type Discovery interface {
	// Run subscribes to changes, lists what is there, and tells sink until ctx ends. After an overflow
	// of the subscription it lists again and tells the differences. It returns nil when ctx has ended.
	Run(ctx context.Context, sink VolumeSink) error

	// At returns the volume that shows path now, whether or not Run has told of it yet. path is absolute
	// in weir's mount namespace. The error is of KindAbsent if path does not exist.
	At(path string) (Volume, error)
}

// VolumeSink is told of volumes, from one goroutine at a time, in the order of events.
type VolumeSink interface {
	// Arrived is called once for each volume, before any other call with it. listed tells volumes that
	// were found by listing from those that have just been mounted. That no mount of weir's own namespace
	// shows a volume is told by its Mounts.
	Arrived(volume Volume, listed bool)

	// Changed says that the volume's mounts or its state (read-only, ...) have changed, or that it can be reached after
	// other mounts have hidden all of them.
	Changed(volume Volume)

	// Left says that the last mount of the volume is gone, in every namespace that is in sight. Its ID will not be used again.
	Left(volume Volume)

	// Passed says that a mount came and left before anybody could look at it: what it showed is not known.
	Passed()

	// Listed says that a complete listing has been told: after the start, and after each overflow.
	Listed()

	// Missed says that events were lost; a complete listing follows.
	Missed(reason string)
}
