package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// compactFrom is the size in bytes below which a file is never compacted while it is open.
const compactFrom = 1 << 20

// Ledger is an open ledger. The state directory must be used by one process only.
type Ledger struct {
	dir     string
	now     func() time.Time
	damaged int

	mu    sync.Mutex
	file  *os.File
	book  *book
	size  int64
	floor int64           // size after the last compaction
	err   error           // of a write that left the file in an unknown state; nothing is written after it but the whole book
	wake  chan<- struct{} // of Notify
}

// Open opens the ledger in directory dir, or makes one. It begins a new session: volumes that were there
// when the last one ended have left with it, and a gap is opened for every filter that was attached.
func Open(dir string) (*Ledger, error) { return open(dir, time.Now) }

func open(dir string, now func() time.Time) (*Ledger, error) {
	b, damaged, err := readFile(dir)
	if err != nil {
		return nil, err
	}
	l := &Ledger{dir: dir, now: now, damaged: damaged, book: b}
	l.endSession()
	b.session++
	b.last = later(b.last, l.now())
	b.forget()
	if l.file, l.size, err = rewrite(dir, b); err != nil {
		return nil, err
	}
	l.floor = l.size
	return l, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// endSession closes the books of a session that has ended, in good order or not, with its last record.
func (l *Ledger) endSession() {
	ended := l.book.last
	for _, v := range l.book.sortedVolumes() {
		if v.Session != l.book.session || !v.Left.IsZero() {
			continue
		}
		for _, s := range v.Slots {
			if s.State != "attached" {
				continue
			}
			l.book.lastGap++
			l.book.gaps[l.book.lastGap] = &Gap{
				ID: l.book.lastGap, Session: v.Session, Volume: v.ID, Source: v.Source, Point: v.point(), Identity: v.Identity,
				Filter: s.Filter, From: ended, Cause: "weir was not running",
			}
		}
		for _, g := range l.book.gaps {
			if g.Session == v.Session && g.Volume == v.ID && g.From.Before(ended) {
				g.end(ended)
			}
		}
		kept := l.book.volumes[volumeKey{v.Session, v.ID}]
		kept.Left, kept.Slots = ended, nil
	}
}

// Damaged returns how many records could not be read by Open. One that a cut has torn counts: behind it there may have
// been any number.
func (l *Ledger) Damaged() int { return l.damaged }

// First tells whether Open found no session before this one: the ledger is new, or what was in it is lost.
func (l *Ledger) First() bool { return l.Session() == 1 }

// Path returns where the file is.
func (l *Ledger) Path() string { return filepath.Join(l.dir, fileName) }

// VolumeArrived records a volume. listed tells that it was found by listing.
func (l *Ledger) VolumeArrived(info weir.VolumeInfo, listed bool) error {
	v := &Volume{
		ID: info.ID, Source: weir.QuotePath(info.Source), Device: info.Device, Label: info.Label,
		Identity: info.Identity, Listed: listed,
	}
	for _, mount := range info.Mounts {
		if mount.Own {
			v.Points = append(v.Points, weir.QuotePath(mount.Point))
		}
	}
	return l.append(func(r *record) {
		v.Session, v.Arrived = l.book.session, r.At
		r.Kind, r.Volume = kindVolume, v
	})
}

// VolumeLeft records that a volume has gone, with its slots. Gaps on it that are still open end with it,
// and stay open until a scan of the same volume closes them.
func (l *Ledger) VolumeLeft(id weir.VolumeID) error {
	return l.append(func(r *record) { r.Kind, r.ID = kindLeft, id })
}

// SlotChanged records the state of a slot. Since is set by the ledger.
func (l *Ledger) SlotChanged(s Slot) error {
	return l.append(func(r *record) {
		r.Kind, r.ID, r.Filter, r.Name, r.State, r.Why = kindSlot, s.Volume, s.Filter, s.Instance, s.State, s.Why
	})
}

// SightChanged records what can be seen of a volume, and why not more.
func (l *Ledger) SightChanged(id weir.VolumeID, sight, why string) error {
	return l.append(func(r *record) { r.Kind, r.ID, r.State, r.Why = kindSight, id, sight, why })
}

// Session returns the number of the session, which grows by one with each Open.
func (l *Ledger) Session() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.session
}

// Volumes returns the volumes, those that are there and the latest that have left, the oldest first.
func (l *Ledger) Volumes() []Volume {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.sortedVolumes()
}

// Sync makes what has been recorded survive a power cut, if Health returns nil after it.
func (l *Ledger) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return fmt.Errorf("sync ledger: %w", os.ErrClosed)
	}
	if l.err != nil {
		return nil
	}
	if err := l.file.Sync(); err != nil {
		l.failLocked(err) // Pages that could not be written may be lost though the next sync succeeds: all of it is said again.
	}
	return nil
}

// Health returns nil, or why the file lacks something that was recorded, as when its disk is full: a kill or a power cut now
// would lose that.
func (l *Ledger) Health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Notify has wake get a token, if it has room, when the file begins to lack something, or does already.
func (l *Ledger) Notify(wake chan<- struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake = wake; l.err != nil {
		l.wakeLocked()
	}
}

func (l *Ledger) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Ledger) failLocked(err error) {
	if l.err == nil {
		l.wakeLocked()
	}
	l.err = err
}

// Retry writes what the file lacks, and returns what Health returns then. Without anything to write it costs nothing.
func (l *Ledger) Retry() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil && l.file != nil {
		l.compactLocked()
	}
	return l.err
}

// Close ends the session, syncs and closes the file. It may be called twice.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.appendLocked(func(r *record) { r.Kind = kindEnd })
	if l.err != nil {
		l.compactLocked()
	}
	err = errors.Join(err, l.err, l.file.Sync(), l.file.Close())
	l.file = nil
	if err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// append fills in one record, writes it and applies it to the book.
func (l *Ledger) append(fill func(*record)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appendLocked(fill)
}

func (l *Ledger) appendLocked(fill func(*record)) error {
	if l.file == nil {
		return fmt.Errorf("write ledger: %w", os.ErrClosed)
	}
	r := record{At: l.now().UTC().Round(0)}
	fill(&r)
	line, err := encode(r)
	if err != nil {
		return err
	}
	l.book.apply(r)
	switch {
	case l.err != nil: // The book has the record, and Retry writes it.
	case l.size > compactFrom && l.size > 2*l.floor:
		l.compactLocked()
	default:
		n, err := l.file.Write(line)
		l.size += int64(n)
		if err != nil {
			l.failLocked(err)
		}
	}
	return nil
}

// compactLocked writes the book anew. It also repairs a file that a failed write has left torn.
func (l *Ledger) compactLocked() {
	l.book.forget()
	file, size, err := rewrite(l.dir, l.book)
	if err != nil {
		l.failLocked(err)
		return
	}
	_ = l.file.Close() // replaced, and nothing in it is needed
	l.file, l.size, l.floor, l.err = file, size, size, nil
}
