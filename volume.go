package weir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// VolumeID is the incarnation number of a volume: unique while the manager runs, never reused. Device,
// UUID, label and mount points are labels and may repeat.
type VolumeID uint64

// Volume is one mounted file system. Implementations are safe for concurrent use.
type Volume interface {
	ID() VolumeID

	// Info returns what is known of the volume now. The caller owns the copy.
	Info() VolumeInfo

	// Borrow opens the directory path on a private, detached clone of the mount that shows it, after it has
	// checked that path is on this volume. It returns a KindAbsent error if it is not, and does not
	// follow path across mounts that are hidden by others. path is absolute in weir's mount namespace.
	//
	// An empty path opens the volume wherever it is shown: its root directory if a mount shows that, in weir's own
	// mount namespace if it is shown there, else in another one. The error is of KindUnsupported if only namespaces
	// show it that weir cannot enter.
	//
	// The clone does not keep the volume's mounts busy, but it delays the flush of an unmounted volume:
	// give it back within milliseconds, and at once when Done is closed.
	Borrow(ctx context.Context, path string) (Lease, error)

	// Locate returns the paths of directories on the volume, as Mount.Root has them, by their handles. It leaves out
	// those that are no more, and those that no mount shows: a path is there when it is told, and may be another one
	// right after that. The error is of KindAbsent if the volume has left, or other mounts hide it.
	Locate(ctx context.Context, dirs []Handle) (map[Handle]string, error)
}

// Lease is a borrowed root directory of a volume. It is safe for concurrent use.
type Lease interface {
	// FD is a readable directory descriptor of the borrowed root, valid until Close. Mounts below the
	// root are not part of the clone: the directories that they cover are visible in it.
	FD() int

	// Done is closed when one of the volume's mounts has left, or the manager shuts down: abort the work
	// and close the lease.
	Done() <-chan struct{}

	// Close gives the volume back. It may be called twice.
	Close() error
}

// Sight says how much of a volume's changes weir can see.
type Sight uint8

const (
	// SightNothing: neither events nor scans.
	SightNothing Sight = iota
	// SightScan: no events; the volume is followed by metadata scans.
	SightScan
	// SightLocal: events of changes made on this machine only, as on network file systems.
	SightLocal
	// SightFull: events of every change that the kernel reports.
	SightFull
)

// String returns "full", "local only", "scan only" or "nothing".
func (s Sight) String() string {
	switch s {
	case SightFull:
		return "full"
	case SightLocal:
		return "local only"
	case SightScan:
		return "scan only"
	default:
		return "nothing"
	}
}

// MarshalText implements encoding.TextMarshaler.
func (s Sight) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Sight) UnmarshalText(text []byte) error {
	for _, sight := range []Sight{SightNothing, SightScan, SightLocal, SightFull} {
		if sight.String() == string(text) {
			*s = sight
			return nil
		}
	}
	return fmt.Errorf("read sight: %q is none", text)
}

// Identity is what tells, after a restart of weir, whether a volume is the one that was seen before.
type Identity struct {
	FSType     string    `json:"fs_type"`
	UUID       string    `json:"uuid,omitempty"`        // of the file system, where it has one
	FSID       string    `json:"fsid,omitempty"`        // f_fsid of statfs(2), hexadecimal
	RootHandle Handle    `json:"root_handle,omitempty"` // of the superblock's or the mounted root directory
	RootBirth  time.Time `json:"root_birth"`
}

// SilentReason is why nothing is seen of a volume that has not answered yet.
const SilentReason = "the volume does not answer"

// ErrSilent says that a file system has not answered in time, as one that is frozen, or whose disk or server is gone.
var ErrSilent = errors.New("it does not answer")

// SilentHint is what helps then.
const SilentHint = "see whether its file system is frozen, or its disk or server is gone"

// OutOfReach is in the chain of an error of Volume.Borrow if no mount of the volume can be reached, so that nobody can observe
// it as it is mounted now. It says why.
type OutOfReach string

// Error implements error.
func (o OutOfReach) Error() string { return string(o) }

// VolumeInfo describes a volume at one moment.
type VolumeInfo struct {
	ID       VolumeID `json:"id"`
	Device   string   `json:"device"` // major:minor of the superblock
	Source   string   `json:"source"` // what was mounted: a device node, a share, "tmpfs"
	Label    string   `json:"label,omitempty"`
	Identity Identity `json:"identity"`
	ReadOnly bool     `json:"read_only"`

	// Former is the number under which the volume was known until its last mount left: it has lived on since, because
	// something on it was open, and is mounted again. Zero if that is not so.
	Former VolumeID `json:"former,omitempty"`

	// Pseudo file systems (proc, sysfs, cgroup2, ...) hold no data that could be kept.
	Pseudo bool `json:"pseudo"`

	// Handles tells whether the volume's inodes have decodable file handles.
	Handles bool `json:"handles"`

	Sight       Sight  `json:"sight"`
	SightReason string `json:"sight_reason,omitempty"` // why it is not full; SilentReason where the volume has not answered yet

	// OutOfReach says that no mount of the volume could be reached when it was looked at, so that nobody can observe it:
	// others hide them all, or only namespaces show it that weir does not enter. It is looked at again when that has changed.
	OutOfReach bool `json:"out_of_reach,omitempty"`

	// Layer volumes are stacked on others, of which Lower names those that are known, and LayerAltitude says where
	// they stand among the filters: those above see what happens on the layer, those below what reaches the others.
	Layer         bool       `json:"layer"`
	LayerAltitude Altitude   `json:"layer_altitude,omitzero"`
	Lower         []VolumeID `json:"lower,omitempty"`
	LowerReason   string     `json:"lower_reason,omitempty"` // why Lower may lack some of them

	Mounts []Mount `json:"mounts"`        // weir's own namespace's first, in the order in which they were made, as far as that is known
	Was    []Mount `json:"was,omitempty"` // of a volume that has left: the mounts with which it arrived
}

// Coming reports whether the volume is shown nowhere yet: nobody but weir can have changed anything on it.
func (i VolumeInfo) Coming() bool {
	return len(i.Mounts) > 0 && !slices.ContainsFunc(i.Mounts, func(m Mount) bool { return !m.Coming })
}

// Mount is one place at which a volume is shown.
type Mount struct {
	ID        uint64 `json:"id"` // unique where Linux has statmount (6.8), else the reusable mountinfo number
	ParentID  uint64 `json:"parent_id"`
	Namespace uint64 `json:"namespace"`        // inode number of the mount namespace
	Own       bool   `json:"own"`              // whether that is weir's own mount namespace
	Coming    bool   `json:"coming,omitempty"` // weir is about to mount it: nothing shows there yet
	Root      string `json:"root"`             // directory of the volume that the mount shows
	Point     string `json:"point"`            // where it shows it, absolute in its namespace
	ReadOnly  bool   `json:"read_only"`
	Options   string `json:"options,omitempty"`
}
