package replicate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

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

// target is one directory that replicas are written to.
type target struct {
	n         int // position on the command line, from 0
	path      string
	db        *index.DB
	discovery weir.Discovery
	mounts    Mounts
	adopt     bool
	uncovered func(*target) // has its replicas compared, since what is mounted below it has changed
	source    string
	log       *slog.Logger

	// barrierMu serialises barriers: the marker's generation is written, the target synced, and only
	// then the index told.
	barrierMu sync.Mutex

	// limitsMu is held while it is tried out what the target stores.
	limitsMu sync.Mutex

	mu         sync.Mutex
	record     *targetRecord // nil until the target has been marked
	generation uint64        // the last that is known to be durable on the target
	writing    uint64        // the one that is being written, or generation
	limits     tree.Limits   // zero until it was tried out
	epoch      uint64        // counts the times at which the target may have become another than the index says
	suspect    uint64        // the last epoch that began with a target older than the index: content is compared in full
	away       bool          // it was not there when it was last wanted
	unready    bool          // it is being prepared, and may hang

	covered      []string      // mount points below it, relative to it
	coveredMoved chan struct{} // closed when they change

	shown weir.VolumeID // the volume that showed it when it was last opened; 0 before
}

// targetRecord is what the index remembers of a target.
type targetRecord struct {
	ReplicaID string        `json:"replica_id"`
	Path      string        `json:"path"`
	Identity  weir.Identity `json:"identity"`
	Root      weir.Handle   `json:"root"`
	RootIno   uint64        `json:"root_ino"`
}

func (t *target) recordKey() string     { return fmt.Sprintf("target/%d/record", t.n) }
func (t *target) limitsKey() string     { return fmt.Sprintf("target/%d/limits", t.n) }
func (t *target) generationKey() string { return fmt.Sprintf("target/%d/generation", t.n) }

// load reads what the index remembers of the target.
func (t *target) load() error {
	text, err := t.db.Meta(t.recordKey())
	if err != nil || text == nil {
		return err
	}
	record := new(targetRecord)
	if err := json.Unmarshal(text, record); err != nil {
		return fmt.Errorf("read record of target %s: %w", weir.QuotePath(t.path), err)
	}
	text, err = t.db.Meta(t.generationKey())
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record = record
	if _, err := fmt.Sscan(string(text), &t.generation); err != nil && text != nil {
		return fmt.Errorf("read generation of target %s: %w", weir.QuotePath(t.path), err)
	}
	t.writing = t.generation
	return nil
}

// hold is a target that a session has borrowed and found to be the one that the index describes.
type hold struct {
	lease                             weir.Lease
	root, hidden, tmp, parked, setOff *tree.Dir

	covered    []string // see target.cover
	parkedPath []string // of parked, from the root
	moved      <-chan struct{}
}

func (h *hold) close() {
	for _, d := range []*tree.Dir{h.setOff, h.parked, h.tmp, h.hidden, h.root} {
		if d != nil {
			d.Close()
		}
	}
	h.lease.Close()
}

func absent(path, why, hint string) error {
	return &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: path, Err: errors.New(why), Hint: hint}
}

// borrow opens the target and proves that it is the one that the index describes. Nothing is written.
// The error is of KindAbsent if it is not there, is another one, or carries no marker.
func (t *target) borrow(ctx context.Context, place uint32) (*hold, error) {
	t.mu.Lock()
	record := t.record
	t.mu.Unlock()
	if record == nil {
		return nil, absent(t.path, "not prepared yet", "")
	}
	h, err := t.open(ctx, record)
	if err != nil {
		t.lost(err)
		return nil, err
	}
	if err := t.tryLimits(h); err != nil {
		h.close()
		return nil, err
	}
	own := strconv.FormatUint(uint64(place), 10)
	h.parkedPath = []string{HiddenDir, parkedDir, own}
	var changed bool
	if h.covered, h.moved, changed = t.cover(); changed {
		t.uncovered(t)
	}
	for _, path := range []string{HiddenDir + "/" + tmpDir + "/" + own, strings.Join(h.parkedPath, "/"), HiddenDir + "/" + asideDir} {
		if err := h.reach(path); err != nil {
			h.close()
			return nil, &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: t.path, Err: fmt.Errorf("%s: %w", path, err)}
		}
	}
	for _, sub := range []struct {
		path []string
		dir  **tree.Dir
	}{{[]string{tmpDir, own}, &h.tmp}, {[]string{parkedDir, own}, &h.parked}, {[]string{asideDir}, &h.setOff}} {
		if *sub.dir, err = openHidden(h.hidden, sub.path); err != nil {
			h.close()
			return nil, fmt.Errorf("open %s of target %s: %w", HiddenDir, weir.QuotePath(t.path), err)
		}
	}
	return h, nil
}

// open opens the target and proves that it is the one of the record.
func (t *target) open(ctx context.Context, record *targetRecord) (*hold, error) {
	h, err := t.openRoot(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.prove(h, record); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// find is borrow without any trace on the target: what is missing in the hidden directory is not made.
func (t *target) find(ctx context.Context) (*hold, error) {
	t.mu.Lock()
	record := t.record
	t.mu.Unlock()
	if record == nil {
		return nil, absent(t.path, "not prepared yet", "")
	}
	return t.open(ctx, record)
}

// openHidden opens a directory below the hidden one, and makes it where it is missing.
func openHidden(hidden *tree.Dir, path []string) (*tree.Dir, error) {
	dir, err := hidden.Walk(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	dir = hidden
	for _, name := range path {
		next, err := openOrMake(dir, name)
		if dir != hidden {
			dir.Close()
		}
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

func (t *target) openRoot(ctx context.Context) (*hold, error) {
	volume, err := t.discovery.At(t.path)
	if err != nil {
		return nil, err
	}
	lease, err := volume.Borrow(ctx, t.path)
	if err != nil {
		return nil, err
	}
	root, err := tree.Open(lease.FD())
	if err != nil {
		lease.Close()
		return nil, err
	}
	t.mu.Lock()
	t.away = t.away || t.shown != 0 && t.shown != volume.ID()
	t.shown = volume.ID()
	t.mu.Unlock()
	return &hold{lease: lease, root: root}, nil
}

// prove checks root handle and marker, and opens the hidden directory.
func (t *target) prove(h *hold, record *targetRecord) error {
	self, err := h.root.Self()
	if err != nil {
		return err
	}
	if h.hidden, err = h.root.OpenDir(HiddenDir); errors.Is(err, fs.ErrNotExist) {
		return absent(t.path, "no marker: the target is not mounted, or is another one", "mount the target; weir waits")
	} else if err != nil {
		return err
	}
	t.mu.Lock()
	passed := t.generation // A barrier may pass while the marker is read, which then is no older than the index.
	t.mu.Unlock()
	marker, generation, err := readMarker(h.hidden)
	if err != nil {
		return err
	}
	if marker.ID != record.ReplicaID {
		return absent(t.path, "it carries the marker of another replica", "mount the right target, or start with --adopt")
	}
	if self.Handle != record.Root || self.Ino != record.RootIno {
		return absent(t.path, "it is a copy of the target, not the target that the index describes", "start with --adopt to take it over")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case generation < passed:
		t.epoch++
		t.suspect = t.epoch
		t.generation, t.writing = generation, generation
	case generation > t.writing:
		t.epoch++
		t.generation, t.writing = generation, generation
	case t.away:
		t.epoch++
	}
	t.away = false
	return nil
}

// lost notes that the target is not there: when it returns, it has to be looked at as a whole.
func (t *target) lost(err error) {
	if weir.KindOf(err) == weir.KindAbsent {
		t.mu.Lock()
		t.away = true
		t.mu.Unlock()
	}
}

// full reports whether the target has no room.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// broken reports whether the error may be one of the whole target, and not of one path.
func broken(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENODEV) ||
		errors.Is(err, syscall.ESHUTDOWN) || errors.Is(err, syscall.ENXIO)
}

// errNoRoom says that a barrier could not begin for want of room.
var errNoRoom = errors.New("the target has no room for the number of the barrier")

// advance makes everything that was shown until now durable and returns how long the sync took. h must
// have been opened before the first of the writes, so that an error of writeback is reported to it.
func (t *target) advance(h *hold) (time.Duration, error) {
	t.barrierMu.Lock()
	defer t.barrierMu.Unlock()
	t.mu.Lock()
	t.writing = t.generation + 1
	next := t.writing
	t.mu.Unlock()
	if err := writeGeneration(h.hidden, next); full(err) {
		return 0, errNoRoom
	} else if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := h.root.Syncfs(); err != nil {
		return 0, err
	}
	t.mu.Lock()
	t.generation = next
	t.mu.Unlock()
	return time.Since(start), t.db.SetMeta(t.generationKey(), fmt.Append(nil, next))
}
