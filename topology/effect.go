package topology

import "github.com/weirfs/weir"

// Effect is something to be done outside of the machine, in the order of the effects.
type Effect interface{ effect() }

// Offer says that work can be claimed. It need not be carried out at once, but must not be lost.
type Offer struct{ Work Work }

// Start grants a claim.
type Start struct {
	Work     Work
	Setup    weir.SetupReason    // for SetUp
	Teardown weir.TeardownReason // for TearDown
	Why      string              // for TearDown, if it is a Remove
}

// Cancel asks the runner of claimed work to give up: its result is not wanted any more. The runner still
// finishes it.
type Cancel struct{ Work Work }

// Commit says that the instance whose set-up has just finished is attached.
type Commit struct{ Pair Pair }

// NotifyChanged tells an instance, attached or being set up, that its volume's mounts have changed.
type NotifyChanged struct{ Pair Pair }

// NotifyObserved tells an instance that its volume, which could only be scanned, is observed from now on.
type NotifyObserved struct{ Pair Pair }

// Retry asks for a RetryDue after a time that grows with Attempt, which counts from 1.
type Retry struct {
	Work    Work
	Attempt int
}

// Recorded is a change for the ledger.
type Recorded struct {
	Pair  Pair
	State SlotState
	Why   string
	Ended bool // the slot is no more
}

// LinkRecorded is a change of a link for the ledger.
type LinkRecorded struct {
	Joint Joint
	State LinkState
	Why   string
}

// VolumePublished says that a volume is known from now on.
type VolumePublished struct {
	Volume weir.VolumeID
	Listed bool
}

// VolumeGone says that nothing refers any more to a volume that has left.
type VolumeGone struct{ Volume weir.VolumeID }

// FilterGone says that nothing refers any more to a filter that is being stopped.
type FilterGone struct{ Filter FilterID }

// Down says that shutdown is complete: no instance and no attached frame is left.
type Down struct{}

func (Offer) effect()           {}
func (Start) effect()           {}
func (Cancel) effect()          {}
func (Commit) effect()          {}
func (NotifyChanged) effect()   {}
func (NotifyObserved) effect()  {}
func (Retry) effect()           {}
func (Recorded) effect()        {}
func (LinkRecorded) effect()    {}
func (VolumePublished) effect() {}
func (VolumeGone) effect()      {}
func (FilterGone) effect()      {}
func (Down) effect()            {}
