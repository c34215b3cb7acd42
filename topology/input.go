package topology

import "github.com/weirfs/weir"

// Input is one thing that happened.
type Input interface{ apply(*State) }

// VolumeArrived publishes a volume. A volume that is known already is not published again.
type VolumeArrived struct {
	Volume weir.VolumeID
	Listed bool // found by listing, not by a mount event
	// Layer says that the volume is stacked on others, and Altitude where it stands among the filters.
	Layer    bool
	Altitude weir.Altitude
	// Excluded is the reason why no filter gets an instance by itself; empty if none.
	Excluded string
}

// VolumeChanged says that the volume's mounts or flags have changed, and what is known of it.
type VolumeChanged struct {
	Volume weir.VolumeID
	// Excluded is as in VolumeArrived: what is known now decides.
	Excluded string
}

// VolumeLeft says that the volume's last mount is gone. It is forgotten when its last instance is.
type VolumeLeft struct{ Volume weir.VolumeID }

// FilterRegistered makes a filter known, and the frame for its altitude if there is none. It has no effect if
// Misplaced says so.
type FilterRegistered struct {
	Filter    FilterID
	Altitude  weir.Altitude
	Instances []Instance // empty: one at Altitude
}

// Instance is what a filter has on each volume.
type Instance struct {
	Altitude weir.Altitude
	Manual   bool // attached by hand only
}

// FilterStarted publishes a registered filter.
type FilterStarted struct{ Filter FilterID }

// FilterStopping withdraws a filter. It is forgotten when its last instance is. One that is being stopped already may
// become Mandatory, which instances are told whose teardown has not begun.
type FilterStopping struct {
	Filter    FilterID
	Mandatory bool
}

// Attach asks by hand for an instance. It undoes Detach, Remove, an exclusion and a refusal.
type Attach struct{ Pair Pair }

// Detach takes the instance away by hand, or cancels it before it exists. It is sticky.
type Detach struct {
	Pair Pair
	By   string // who asked; not empty
}

// Remove takes the instance away since weir cannot go on with it, as Detach does by hand. It is sticky.
type Remove struct {
	Pair Pair
	Why  string // not empty
}

// Unconcern says that a filter which has an instance on a volume has no business there any more. The instance is taken down,
// and the filter asked anew: the volume may have changed meanwhile.
type Unconcern struct {
	Pair Pair
	Why  string // as the filter says
}

// Claim asks to do work that was offered. If it is granted, the effects hold its Start.
type Claim struct{ Work Work }

// Finished says how claimed work ended.
type Finished struct {
	Work    Work
	Outcome Outcome
	Why     string // the reason, unless Outcome is OK
}

// TimedOut says that claimed Ask, SetUp or AttachFrame has not returned in time. Its Finished follows whenever
// it does return; until then nothing else is tried for the slot.
type TimedOut struct {
	Work Work
	Why  string
}

// RetryDue says that the time of a Retry has come.
type RetryDue struct{ Work Work }

// DiscoveryMissed says that volumes may exist, or have left, that nobody has told of.
type DiscoveryMissed struct{ Why string }

// DiscoveryListed says that every volume has been told.
type DiscoveryListed struct{}

// Shutdown withdraws everything. After it nothing is published.
type Shutdown struct{}
