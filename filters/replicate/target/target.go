package target

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/index"
	"github.com/weirfs/weir/tree"
)

// HiddenDir is the directory at a target's root that holds temporaries, the parking, what was set aside
// and the marker. It is no part of the tree.
const HiddenDir = ".weir"

// Directories in HiddenDir.
const (
	tmpDir     = "tmp"
	parkedDir  = "parked"
	asideDir   = "set-aside"
	limitsDir  = "limits"
	markerFile = "replica.json"
	genFile    = "generation"
)

// ParkedPath is where what has vanished from a place and may live on lies, relative to the target.
func ParkedPath(place uint32) string { return fmt.Sprintf("%s/%s/%d", HiddenDir, parkedDir, place) }

// Mounts tells which mounts weir's own namespace has below a path, in the order in which they were made.
type Mounts interface {
	MountsBelow(path string) []weir.Mount

	// ShownBy returns the volume that shows a path, absolute and without symbolic links, by the table of mounts alone: no
	// file system is asked. It returns 0 if that is not known.
	ShownBy(path string) weir.VolumeID
}

// Options describes a target. They must not be changed after New.
type Options struct {
	Number    int    // position on the command line, from 0
	Path      string // absolute and clean
	Source    string // of the mirror, as the marker names it
	Adopt     bool   // it may hold data that weir did not make
	Index     *index.DB
	Discovery weir.Discovery
	Mounts    Mounts
	Admit     func(path string) error // says why a target that is new may not become one; nil has no reason
	Uncovered func(*Target)           // has its replicas compared, since what is mounted below it has changed
	Logger    *slog.Logger
}

// Target is one directory that replicas are written to. It is safe for concurrent use.
type Target struct {
	options Options
	trials  atomic.Uint64 // names that were tried

	// barrierMu serialises barriers: the marker's generation is written, the target synced, and only
	// then the index told.
	barrierMu sync.Mutex

	// limitsMu is held while it is tried out what the target stores.
	limitsMu sync.Mutex

	mu         sync.Mutex
	record     *record     // nil until the target has been marked
	generation uint64      // the last that is known to be durable on the target
	writing    uint64      // the one that is being written, or generation
	limits     tree.Limits // zero until it was tried out
	epoch      uint64      // counts the times at which the target may have become another than the index says
	rollbacks  uint64      // how often the target was found to be older than the index, ever
	outdated   uint64      // the generation of the index when that was found last
	away       bool        // it was not there when it was last wanted
	aside      error       // why it is not to be touched now

	covered      []string      // mount points below it, relative to it
	coveredMoved chan struct{} // closed when they change

	shown weir.VolumeID // the volume that showed it when it was last opened; 0 before
}

// New describes a target; nothing is opened until Prepare.
func New(o Options) *Target { return &Target{options: o, epoch: 1} }

// Number returns the position of the target on the command line, from 0.
func (t *Target) Number() int { return t.options.Number }

// Path returns the path of the target, absolute and clean.
func (t *Target) Path() string { return t.options.Path }

// Adopts reports whether the target may hold data that weir did not make.
func (t *Target) Adopts() bool { return t.options.Adopt }

// Known reports whether the index knows the target.
func (t *Target) Known() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record != nil
}

// Aside returns why the target is not to be touched for now, or nil.
func (t *Target) Aside() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.aside
}

// SetAside says why the target is not to be touched from now on, because it may hang, for example. Nil lets it be touched.
func (t *Target) SetAside(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.aside = why
}

// Epochs returns a number that grows whenever the target may have become another than the index says, and how often it
// was older than the index, so that content has to be compared in full. The latter is kept by the index.
func (t *Target) Epochs() (epoch, rollbacks uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.epoch, t.rollbacks
}

// Shown returns the volume that showed the target when it was last opened; 0 before.
func (t *Target) Shown() weir.VolumeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shown
}

// record is what the index remembers of a target.
type record struct {
	ReplicaID string        `json:"replica_id"`
	Path      string        `json:"path"`
	Identity  weir.Identity `json:"identity"`
	Root      weir.Handle   `json:"root"`
	RootIno   uint64        `json:"root_ino"`
}

func (t *Target) recordKey() string     { return fmt.Sprintf("target/%d/record", t.options.Number) }
func (t *Target) limitsKey() string     { return fmt.Sprintf("target/%d/limits", t.options.Number) }
func (t *Target) generationKey() string { return fmt.Sprintf("target/%d/generation", t.options.Number) }
func (t *Target) rollbacksKey() string  { return fmt.Sprintf("target/%d/rollbacks", t.options.Number) }

// Load reads what the index remembers of the target.
func (t *Target) Load() error {
	text, err := t.options.Index.Meta(t.recordKey())
	if err != nil || text == nil {
		return err
	}
	known := new(record)
	if err := json.Unmarshal(text, known); err != nil {
		return fmt.Errorf("read record of target %s: %w", weir.QuotePath(t.options.Path), err)
	}
	generation, err := t.loadNumber(t.generationKey())
	if err != nil {
		return err
	}
	rollbacks, err := t.loadNumber(t.rollbacksKey())
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record = known
	t.generation, t.writing, t.rollbacks = generation, generation, rollbacks
	return nil
}

// loadNumber reads a number of the index, 0 if it has none.
func (t *Target) loadNumber(key string) (n uint64, err error) {
	text, err := t.options.Index.Meta(key)
	if err != nil || text == nil {
		return 0, err
	}
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		return 0, fmt.Errorf("read %s of target %s: %w", key, weir.QuotePath(t.options.Path), err)
	}
	return n, nil
}
