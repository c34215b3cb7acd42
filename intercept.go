package weir

import "context"

// Interceptor is an Instance of a filter that has operations Before or After.
//
// An operation passes the instances of its volume from high to low altitude with Pre, is carried out, and passes them
// from low to high with Post: the same instances both ways, whatever is attached or detached meanwhile. Where an
// instance is torn down under an operation that is to come back to it, its Post is called at once, with Draining: then
// the outcome is not known.
//
// A callback that panics, or returns a status that is none, fails the operation.
type Interceptor interface {
	// Pre is called before an operation of Before is carried out. It is not called for an operation of After alone,
	// which counts as continued.
	Pre(ctx context.Context, call Call) PreStatus

	// Post is called after an operation of After, if Pre has asked for that, on any goroutine. It may change the
	// result.
	Post(ctx context.Context, call Call) PostStatus
}

// PreStatus is what becomes of an operation after Pre.
type PreStatus uint8

const (
	// PreContinue lets the operation go on, and has Post called if it is one of After.
	PreContinue PreStatus = iota + 1
	// PreSkipPost lets it go on without Post.
	PreSkipPost
	// PreSynchronize is PreContinue with Post on the goroutine of Pre, which waits for that, whoever pends the
	// operation below. A draining Post comes on another.
	PreSynchronize
	// PrePend keeps the operation: it goes on when Call.ResumePre is called, which may be before Pre returns. Whoever
	// keeps it watches the ctx of Pre; package pend has a queue that does.
	PrePend
	// PreComplete ends the operation here with Call.Result. The instances below and the volume do not see it, those
	// above have their Post called.
	PreComplete
)

// String returns the status in words.
func (s PreStatus) String() string {
	return nameOf(s, "none", "continue", "skip post", "synchronize", "pend", "complete")
}

// PostStatus is what becomes of an operation after Post.
type PostStatus uint8

const (
	// PostFinished lets the operation go on to the instance above.
	PostFinished PostStatus = iota + 1
	// PostPend keeps the operation until Call.ResumePost is called, which may be before Post returns. It is not
	// allowed while draining.
	PostPend
)

// String returns the status in words.
func (s PostStatus) String() string { return nameOf(s, "none", "finished", "pend") }

func nameOf[T ~uint8](v T, names ...string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// Parameters are those of one operation that is intercepted.
type Parameters struct {
	Op      Ops    // exactly one
	Dir     Handle // the directory entry: Dir and Name
	Name    string
	NewDir  Handle // where OpRename moves it
	NewName string
	Object  Handle // the inode, where it is known; for OpCreate the one that gets another name
	Open    OpenID // the open file of OpModify, OpAccess and OpClose; 0 if there is none
	Offset  int64
	Data    []byte // what OpModify writes, or what OpAccess reads into; it must not be kept
	Length  int64  // the new size, for OpModify without Data
	Mode    uint32
	IsDir   bool
	PID     int

	// Volume is where the operation is carried out. It may be changed to another volume on which the filter has an
	// instance at the same altitude: the operation goes on below that one.
	Volume VolumeID
}

// OpenID identifies one open of a file on its volume while it is open. 0 is none.
type OpenID uint64

// Result is how an operation ended.
type Result struct {
	Err    error
	N      int64 // bytes that were read or written
	Object Handle
	Open   OpenID // of OpOpen
}

// Call is one operation in one instance. It is valid until the instance's Post has finished, or Pre has returned a
// status after which there is none. It must not be used from two goroutines at a time.
type Call interface {
	// Parameters are as the instances above have left them. What Pre changes in them counts for the instances below
	// if MarkDirty is called before Pre returns, or before the operation is resumed; Op and PID cannot be changed.
	// This instance's Post, and those above, see them as they were. A draining Post sees a copy without Data.
	Parameters() *Parameters
	MarkDirty()

	// Result is how the operation ended: set it with PreComplete; read it, and change it, in Post.
	Result() *Result

	// Draining tells Post that the instance ends and the operation goes on without it: nothing is known of the
	// outcome, and nothing may be changed.
	Draining() bool

	// Keep stores a value for Post, which finds it by Kept.
	Keep(value any)
	Kept() any

	// ResumePre lets an operation go on that was pended by Pre, with a status other than PrePend. The error is of
	// KindRefused if the status is another, if the operation is not pended or has been resumed, and if the instance
	// has ended without waiting longer: then it has failed.
	ResumePre(status PreStatus) error

	// ResumePost lets an operation go on that was pended by Post. The errors are those of ResumePre.
	ResumePost() error
}

// Gate is how an intercepting plane hands operations to the manager.
type Gate interface {
	// Do passes an operation through the instances. lower carries it out with the parameters that it is given; it
	// is called at most once, and not at all if an instance completes the operation or ctx has ended. Do returns when
	// the operation has passed all instances. It keeps neither p nor its Data, and does not change p.
	Do(ctx context.Context, p *Parameters, lower Lower) Result

	// FileGone says that an inode is no more: contexts on it end.
	FileGone(object Handle)

	// OpenGone says that an open file has been closed: contexts on it end.
	OpenGone(open OpenID)
}

// Lower carries out operations. It does not change their parameters, other than by reading into Data.
type Lower interface {
	Do(ctx context.Context, p *Parameters) Result
}

// Intercepting is a Plane that can have operations pass through the instances.
type Intercepting interface {
	Plane

	// Intercept makes every operation that begins on the volume after it has returned pass the gate. Several gates
	// on one volume are passed from high to low altitude. It returns the errors of Attach.
	Intercept(ctx context.Context, volume Volume, altitude Altitude, gate Gate) (Interception, error)
}

// Interception is one volume held by an intercepting plane. Lower carries out operations below the gate, also after
// Detach; where the volume has left, it fails with an error of KindAbsent.
type Interception interface {
	Lower

	// Detach has operations that begin after it has returned pass the gate no more. It waits for none: those that have
	// begun end as they would have. It may be called twice.
	Detach() error

	// Has tells whether the inode, or the open file, of a key still is. It says no before the gate is told.
	Has(key ContextKey) bool
}
