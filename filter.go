package weir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Filter is what an author registers with a manager. The struct must not be changed after that.
type Filter struct {
	// Name identifies the filter: one word of printable characters without "/", of at most 255 bytes, unique in its manager.
	Name string

	// Altitude is that of the default instance, which has to be among Instances if there are any. It decides which frame
	// the filter belongs to. Like those of Instances it is not 0, where the volume is.
	Altitude Altitude

	// Instances are those that the filter has on each volume. Empty stands for one, named like the filter and at its
	// altitude. All have to be in one frame. An administrator may put others in their place, by a manifest.
	Instances []Definition

	// Single says that the filter cannot have several instances on one volume: then it is not loaded with more.
	Single bool

	// Wants is the set of completed operations that instances ask for, until they ask for others with Host.Want.
	// OpOpen and OpAccess cost every reader of a volume; leave them out unless they are needed.
	Wants Ops

	// Scans says that the filter looks by itself for what it has missed, and calls Host.Scanned when it has done so: its
	// gaps in the ledger are open until then. Those of other filters are closed when they are attached.
	Scans bool

	// Before and After are the operations that pass through the instances, which implement Interceptor, on their way
	// to the volume and on their way back. They need a plane that intercepts.
	Before, After Ops

	// Skips leaves out classes of all these operations, completed and intercepted: an instance does not hear of them.
	Skips Skips

	// Contexts are the kinds of contexts that the instances use, each named once.
	Contexts []ContextKind

	// Concerns is asked before a volume is observed, which costs every writer of it, and again when the volume's mounts
	// have changed: of a volume that it declined, and of one with an instance, which ends if it declines then. That is asked
	// beside the instance's Changed, in no order. It returns nil, or ErrDecline (possibly wrapped, with the reason) if the
	// filter has no business on the volume; any other error is retried, but leaves an instance as it is. A nil Concerns means
	// every volume. What changes meanwhile need not be known: the volume is observed before Setup begins, which may still
	// decline.
	Concerns func(ctx context.Context, volume Volume) error

	// Setup is called once for each instance on a volume that concerns the filter, after the volume's frame has been
	// attached: what changes from then on is delivered, what changed before is found by a scan that the filter starts
	// in Setup or later. It returns the instance's callbacks, or ErrDecline (possibly wrapped, with the reason) if the
	// filter has no business on the volume; any other error is retried. It is called again for a volume that it
	// declined when the volume's mounts have changed.
	Setup func(ctx context.Context, site Site) (Instance, error)

	// Passed is told of a volume that came and left before an instance of the filter was set up on it. Of a mount that
	// nobody could look at, the info is zero. It must return soon.
	Passed func(volume VolumeInfo)

	// Remarks says where the filter does not do what it is for although it is attached there, to whoever asks what is
	// covered. It may be called at any time while the filter is loaded, on any goroutine, and must return soon. Nil: nowhere.
	Remarks func() []Remark

	// Ignores says why the filter does nothing with what happens at a path, although it is attached to the volume that shows
	// it; nothing if it does. The path is absolute in weir's own mount namespace and without symbolic links, and need not
	// exist; dir tells whether it is a directory. It may be called as Remarks is. Nil: it is asked for nothing but Remarks.
	Ignores func(volume VolumeID, path string, dir bool) string

	// Unload is asked before the filter is unloaded. An error refuses, unless the unloading is mandatory. It is not
	// called when the manager shuts down. A nil Unload consents.
	Unload func(ctx context.Context, mandatory bool) error

	// Connect serves a program that has connected to the filter's port, and returns when either side has ended the
	// conversation, or when ctx ends: at the latest when the filter is unloaded. Nil: the filter has no port.
	Connect func(ctx context.Context, peer Peer, port Port) error

	// Admit is asked whether a program may connect to the port, before it takes a place there. Its error refuses, and is told
	// to the program. Whom the control socket refuses does not come so far: it lets in root, and the user who runs weir, who are
	// admitted where Admit is nil. It must return soon, and admits nobody as long as it does not.
	Admit func(peer Peer) error

	// Connections is how many programs may be connected at a time; more are refused. It must be positive where there
	// is a Connect, and zero where there is none.
	Connections int
}

// Remark is a directory, with all that is in it, at which a filter does nothing although it is attached to the volume.
type Remark struct {
	Volume VolumeID `json:"volume"` // that is there now
	Path   string   `json:"path"`   // absolute, in weir's own mount namespace
	Held   bool     `json:"held"`   // the filter waits for somebody to decide

	// Overdue is since when the filter has not looked, where it has to since the volume does not tell of all that happens;
	// zero if it has looked in time.
	Overdue time.Time `json:"overdue,omitzero"`

	Why  string `json:"why"`
	Todo string `json:"todo,omitempty"` // what helps, a full clause
}

// Definition is one instance that a filter has on each volume.
type Definition struct {
	Name     string // unique in the filter; likewise, but spaces are allowed
	Altitude Altitude
	Attach   Attach
}

// Attach says how an instance comes to a volume.
type Attach uint8

const (
	AttachAny       Attach = iota // by itself, and by hand where somebody has detached it
	AttachAutomatic               // by itself only: that somebody attaches it is refused
	AttachManual                  // by hand only
)

// String returns "any", "automatic" or "manual".
func (a Attach) String() string { return nameOf(a, attachNames()...) }

func attachNames() []string { return []string{"any", "automatic", "manual"} }

// MarshalText implements encoding.TextMarshaler.
func (a Attach) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Attach) UnmarshalText(text []byte) error {
	i := slices.Index(attachNames(), string(text))
	if i < 0 {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(attachNames(), ", "))
	}
	*a = Attach(i)
	return nil
}

// Definitions returns the instances of a filter, with the default one filled in.
func (f *Filter) Definitions() []Definition {
	if len(f.Instances) > 0 {
		return f.Instances
	}
	return []Definition{{Name: f.Name, Altitude: f.Altitude}}
}

// Site is where an instance is to be, and why.
type Site struct {
	Volume   Volume
	Instance Definition
	Reason   SetupReason
	Host     Host
}

// Host is what the manager does for one instance. It is safe for concurrent use, from the begin of Setup to the end of
// Teardown; after that every call fails with an error of KindAbsent.
type Host interface {
	// Hold keeps the instance, and its volume's place in the manager, until release is called: Teardown may begin, but
	// the instance does not end before, unless the filter is unloaded by force or the manager shuts down. owner says in
	// one word who holds it, for the one who asks why it does not end. The error is of KindAbsent once the teardown has
	// begun. release may be called twice.
	Hold(owner string) (release func(), err error)

	// Want asks for other completed operations than before. When it has returned, every one of those that completes later
	// is delivered; what was wanted before as well is not interrupted. It may be called in Setup and later, and not from
	// a callback with operations. The error is of KindUnsupported if nothing observes the volume, or nothing that does
	// delivers these operations, and of KindAbsent if the volume has left; then nothing has changed.
	Want(ctx context.Context, wants Ops) error

	// SetContext puts a value on an object. With KeepExisting a context that is there stays: it is returned, and set
	// is false. With ReplaceExisting the former one is taken off, and lives on until its last reference is
	// released. The caller owns a reference on the one that is returned. The error is of KindRefused for a kind that
	// the filter has not registered, and of KindAbsent if the object is no more.
	SetContext(key ContextKey, value any, how SetContext) (current Context, set bool, err error)

	// Context returns the context of an object, with a reference that the caller owns. The error is of KindAbsent
	// if it has none.
	Context(key ContextKey) (Context, error)

	// DropContext takes the context off its object, if it has one.
	DropContext(key ContextKey)

	// Missed records in the ledger that the filter has not seen what happened on the instance's volume between since and
	// now, and why: cause is a clause for the operator, such as Instance.Lost gives. The gap of a filter with Scans is open
	// until Scanned closes it; that of another is closed at once, since nobody looks for what it hides. The manager itself
	// records that an instance was not there yet, or not any more. Like Scanned it may be called from callbacks: it is
	// written in the order of the calls, and neither waits for the disk; a ledger that cannot be written is logged. The
	// error is of KindRefused if since is the zero time or still to come, or cause is empty, and of KindAbsent if the instance
	// has ended.
	Missed(since time.Time, cause string) error

	// Scanned closes the filter's gaps on the instance's volume that were over when a scan began, after that scan has looked
	// at everything the filter has to know of the volume, and has ended. began is the time on the machine's clock right
	// before the scan looked at the first object; a scan that was begun for a gap, after Setup or Missed was called, is late
	// enough. by names the scan for the operator. The error is of KindRefused for a filter without Scans, if began is the
	// zero time or still to come, and if by is empty, and of KindAbsent if the instance has ended.
	Scanned(began time.Time, by string) error

	// NoRoom counts operations that the filter had no room for: those that it has made fail, and those that it has let pass
	// without a look. That is for the operator to see, in weir filters; it does not stand for Missed. Package pend does both.
	NoRoom(failed, passed uint64)

	// Issue does an operation on the instance's volume, which only the instances below it see. The error is of
	// KindUnsupported where nothing intercepts operations.
	Issue(ctx context.Context, p *Parameters) (Result, error)
}

// Instance is one filter on one volume. Its methods are called by the manager.
type Instance interface {
	// Completed delivers operations that have completed, to the instances of a frame from low to high altitude. It is
	// called from one goroutine at a time per instance, must not block, and must not keep the slice.
	Completed(operations []Operation)

	// Lost says that operations were lost and why.
	Lost(reason string)

	// Changed says that the volume's mounts have changed; Volume.Info has the new ones.
	Changed()

	// Teardown ends the instance. It is called when the methods that ran have returned, and none is called after it. It
	// returns when the instance uses the volume no more, or when ctx ends. An instance that does not return from a method
	// is left behind without Teardown by a mandatory unloading and by a shutdown.
	Teardown(ctx context.Context, reason TeardownReason)
}

// TeardownQuerier is an Instance that is asked before somebody detaches it by hand: an error, which says why, refuses.
// It is not asked when the filter is unloaded, the volume leaves or the manager shuts down. An instance that is none
// consents.
type TeardownQuerier interface {
	QueryTeardown(ctx context.Context) error
}

// TeardownStarter is an Instance that is told when its teardown begins, before the operations that are inside it are
// drained: it completes what it has pended, disables its queues and begins no new work. Callbacks of operations that
// are on their way may still come, until Teardown is called. An operation that is still pended when the time for that
// is over fails.
type TeardownStarter interface {
	TeardownStart(reason TeardownReason)
}

// ErrDecline is returned by Filter.Concerns and Filter.Setup for a volume that the filter has no business on.
var ErrDecline = errors.New("declined")

// SetupReason says why an instance is set up.
type SetupReason uint8

const (
	SetupAutomatic    SetupReason = iota // the filter has been started and the volume was there
	SetupNewlyMounted                    // the volume has just been mounted
	SetupManual                          // somebody asked for it
)

// String returns "automatic", "newly mounted" or "manual".
func (r SetupReason) String() string {
	return [...]string{"automatic", "newly mounted", "manual"}[r]
}

// TeardownReason says why an instance ends.
type TeardownReason uint8

const (
	TeardownVolumeLeft      TeardownReason = iota // the volume has been unmounted
	TeardownManual                                // somebody asked for it
	TeardownFilterUnload                          // the filter is being unloaded
	TeardownShutdown                              // the manager is being stopped
	TeardownExcluded                              // a rule keeps filters off the volume, as it is now
	TeardownMandatoryUnload                       // it is being unloaded by force: soon nobody waits for it
	TeardownInternalError                         // the manager cannot go on with the instance
	TeardownUnconcerned                           // the filter has no business on the volume any more, as its Concerns says
)

// Unloads tells whether the instance ends since its filter does, whether or not that could refuse.
func (r TeardownReason) Unloads() bool {
	return r == TeardownFilterUnload || r == TeardownMandatoryUnload
}

// String returns "volume left", "manual", "filter unload", "shutdown", "excluded", "mandatory unload", "internal error" or
// "unconcerned".
func (r TeardownReason) String() string {
	return [...]string{"volume left", "manual", "filter unload", "shutdown", "excluded", "mandatory unload", "internal error", "unconcerned"}[r]
}
