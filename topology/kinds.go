package topology

import "github.com/weirfs/weir"

// FrameID numbers frames from the lowest, 0, upwards.
type FrameID int

// FilterID is the incarnation number of a filter: a filter that is registered again gets another.
type FilterID uint64

// Pair names a slot: one instance of a filter, by its index in the filter's definitions, on one volume.
type Pair struct {
	Filter   FilterID
	Instance int
	Volume   weir.VolumeID
}

// Joint names a link.
type Joint struct {
	Frame  FrameID
	Volume weir.VolumeID
}

// SlotState is the state of a pair.
type SlotState uint8

const (
	SlotPending   SlotState = iota // owed; waits for its claim or for the frame's link
	SlotSettingUp                  // claimed: the filter is asked, or its Setup runs
	SlotAttached                   // there is an instance
	SlotDeclined                   // the filter has no business on the volume as it is mounted now
	SlotFailed                     // Concerns or Setup failed, or did not return in time
	SlotDetached                   // somebody took the instance away, or it is attached by hand only
	SlotExcluded                   // a rule keeps instances off the volume, or it is a layer above the instance
	SlotDraining                   // the instance is being torn down, or Setup is to be undone once it returns
	SlotRemoved                    // weir took the instance away, which it could not go on with
)

// String returns the state in the words of the command line.
func (s SlotState) String() string {
	return [...]string{"pending", "setting up", "attached", "declined", "failed", "detached", "excluded", "draining", "removed"}[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s SlotState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LinkState is the state of a frame on a volume.
type LinkState uint8

const (
	LinkIdle        LinkState = iota // no slot needs it
	LinkPending                      // needed; waits for its claim
	LinkAttaching                    // claimed: the plane attaches
	LinkAttached                     // operations are delivered
	LinkUnsupported                  // the volume does not accept the plane
	LinkFailed                       // the plane failed, or did not return in time
	LinkDraining                     // the plane detaches
)

// String returns the state in the words of the command line.
func (s LinkState) String() string {
	return [...]string{"idle", "pending", "attaching", "attached", "unsupported", "failed", "draining"}[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s LinkState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// WorkKind says what a piece of work does.
type WorkKind uint8

const (
	AttachFrame WorkKind = iota
	DetachFrame
	SetUp
	TearDown
	Ask
)

// String returns the kind as a verb.
func (k WorkKind) String() string {
	return [...]string{"attach frame", "detach frame", "set up", "tear down", "ask"}[k]
}

// ofSlot tells work for a slot from work for a link.
func (k WorkKind) ofSlot() bool { return k == Ask || k == SetUp || k == TearDown }

// Work names something to be done outside. Frame is set for frames, Filter and Instance for instances. At
// most one piece of work runs for one slot or link at a time.
type Work struct {
	Kind     WorkKind
	Frame    FrameID
	Filter   FilterID
	Instance int
	Volume   weir.VolumeID
}

// Pair returns the slot that work of a slot is for.
func (w Work) Pair() Pair   { return Pair{w.Filter, w.Instance, w.Volume} }
func (w Work) joint() Joint { return Joint{w.Frame, w.Volume} }

// on is the work of a kind for a slot.
func (k WorkKind) on(p Pair) Work {
	return Work{Kind: k, Filter: p.Filter, Instance: p.Instance, Volume: p.Volume}
}

// Outcome is how work ended.
type Outcome uint8

const (
	OK          Outcome = iota
	Declined            // Ask, SetUp: the filter has no business there
	Unsupported         // AttachFrame: the volume does not accept the plane
	Failed              // anything else
)
