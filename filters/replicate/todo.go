package replicate

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
)

// What helps.
const (
	todoHeld   = "start with --replaced merge (copy what is there, delete nothing) or --replaced mirror (take it as the truth), or put back what stood there"
	todoBuried = "unmount it, or start with --replaced merge or mirror; what the replica holds there stays as it is until then"
	todoSource = "mount it" + untilThen
	todoTaken  = "attach or load the filter again" + untilThen
	todoTarget = "mount it, or see why it is not there; one that was removed for good is made again, empty, and taken with --adopt"
	todoRoom   = "free some room"
	untilThen  = ": its replica stays as it is until then"
	todoDisk   = "see to the disk of %s, or mount it anew: weir tries again until then"
	todoBrake  = "start with --max-delete off, or a larger number, if the deletions are meant"
)

// Stuck reports whether a replica is not equal to its place, and will not be by itself.
func (p Phase) Stuck() bool { return p == PhaseWaiting || p.todo() != "" }

// todo is what helps in a phase.
func (p Phase) todo() string {
	switch p {
	case PhaseHeld:
		return todoHeld
	case PhaseDetached:
		return todoTaken
	case PhaseSourceAbsent:
		return todoSource
	case PhaseTargetAbsent:
		return todoTarget
	case PhaseFull:
		return todoRoom
	case PhaseBraked:
		return todoBrake
	default:
		return ""
	}
}

// absence says why a target is away, without its path, which stands beside that.
func absence(err error) string {
	var e *weir.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist"
	case errors.As(err, &e) && e.Err != nil:
		return e.Err.Error()
	}
	return err.Error()
}

// remedy is what an error says that helps, if it says anything.
func remedy(err error) string {
	var e *weir.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// todoOutage is what helps where a file system fails, as far as the error tells. What the error says itself stands beside it.
func todoOutage(err error) string {
	var e *weir.Error
	switch {
	case errors.As(err, &e) && e.Hint != "" || !target.Broken(err):
		return ""
	case errors.As(err, &e) && e.Op == opSource:
		return fmt.Sprintf(todoDisk, "the source")
	}
	return fmt.Sprintf(todoDisk, "the target")
}

// todoAbsent is what helps where the volume of a place is away, which may be mounted below the source.
func todoAbsent(path string, nested bool) string {
	if !nested {
		return todoSource
	}
	return todoSource + "; or start with --forget " + weir.QuotePath(path) + " if it has left for good"
}

// todoBeneath is what helps where something lies in the bare mount point of a place.
func todoBeneath(path string, nested bool) string {
	if !nested {
		return "mount its volume, or put that data elsewhere"
	}
	return "mount its volume, or start with --forget " + weir.QuotePath(path) + " to have that data copied"
}
