package replicate

import (
	"cmp"
	"errors"
	"sort"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

// UnitStatus is one place on one target.
type UnitStatus struct {
	Place    string    `json:"place"`
	Target   string    `json:"target"`
	Phase    Phase     `json:"phase"`
	Reason   string    `json:"reason,omitempty"`
	Todo     string    `json:"todo,omitempty"` // what helps, a full clause, where the phase needs somebody
	Sight    string    `json:"sight,omitempty"`
	Scan     string    `json:"scan_interval,omitempty"` // of a volume that reports no events
	Backlog  int       `json:"backlog"`                 // names and directories that are to be looked at
	Lag      string    `json:"lag,omitempty"`           // how long the oldest of them has waited
	Compared time.Time `json:"compared,omitzero"`       // when the last comparison of the whole place ended
	Since    time.Time `json:"-"`                       // when the oldest began to wait; zero if nothing waits
	Durable  time.Time `json:"durable,omitzero"`        // when the last barrier had passed
	Files    int64     `json:"files"`                   // files, directories and others that the replica holds
	Problems int       `json:"problems"`
}

// Status is the whole mirror at one moment.
type Status struct {
	Copied   int64        `json:"files_copied"`
	Read     int64        `json:"bytes_read"`
	Written  int64        `json:"bytes_written"`
	Looked   int64        `json:"names_compared"`
	Removed  int64        `json:"names_removed"`
	Units    []UnitStatus `json:"replicas"`
	Problems []Problem    `json:"problems,omitempty"`
	More     int64        `json:"problems_not_listed,omitempty"` // about so many
	Aside    []Aside      `json:"set_aside,omitempty"`
	Notes    []Note       `json:"not_followed,omitempty"`

	Targets []TargetStatus `json:"targets"`
}

// TargetStatus is what was found out about a target.
type TargetStatus struct {
	Path    string   `json:"target"`
	Tried   bool     `json:"tried"`             // whether it was there, so that it could be tried what it stores
	Missing []string `json:"missing,omitempty"` // what it cannot store, in words
	Covered []string `json:"covered,omitempty"` // where file systems are mounted below it: nothing is written there
}

// Aside is what stood on a target where something else had to be, or what nobody knew. It is in the target's
// hidden directory.
type Aside struct {
	Path   string `json:"path"` // that it had
	Target string `json:"target"`
	Now    string `json:"now"` // where it lies, relative to the target: under that path, if it was free there
}

// Note is a mount below the source that is not followed, and why.
type Note struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Status tells how every replica stands.
func (r *Replicator) Status() Status {
	r.mu.Lock()
	units := r.units
	var notes []Note
	for path, why := range r.notes {
		notes = append(notes, Note{path, why})
	}
	r.mu.Unlock()
	sort.Slice(notes, func(i, j int) bool { return notes[i].Path < notes[j].Path })
	s := Status{
		Copied: r.counters.files.Load(), Read: r.counters.read.Load(), Written: r.counters.written.Load(),
		Looked: r.counters.seen.Load(), Removed: r.counters.removed.Load(), Notes: notes,
	}
	for _, t := range r.targets {
		st := TargetStatus{Path: t.Path()}
		var limits tree.Limits
		if limits, st.Tried = t.Limits(); st.Tried {
			st.Missing = limits.Missing()
		}
		st.Covered = t.Covered()
		s.Targets = append(s.Targets, st)
	}
	for _, u := range units {
		u.placeProblems()
		s.Units = append(s.Units, u.report())
		s.Problems = append(append(s.Problems, u.beneath()...), u.buried()...)
		u.mu.Lock()
		s.Problems = append(s.Problems, u.status.problems.listed()...)
		s.More += int64(u.status.problems.more())
		s.Aside = append(s.Aside, u.status.aside...)
		u.mu.Unlock()
	}
	sort.Slice(s.Problems, func(i, j int) bool { return s.Problems[i].Path < s.Problems[j].Path })
	return s
}

func (u *unit) report() UnitStatus {
	rel, volume, _ := u.place.at()
	st := UnitStatus{Place: u.r.sourcePath(rel), Target: u.target.Path()}
	st.Files, _ = u.ix.Count()
	if volume != nil {
		if sight := volume.Info().Sight; sight < weir.SightFull {
			st.Sight, st.Scan = sight.String(), u.r.options.ScanInterval.String()
		}
	}
	mounts := len(u.beneath()) + len(u.buried())
	around := u.r.awayAround(u.place)
	ground, mute := u.ground(around), u.r.options.Index.Silent()
	u.mu.Lock()
	defer u.mu.Unlock()
	st.Backlog = u.backlogLocked()
	if st.Since = u.oldestLocked(); !st.Since.IsZero() {
		st.Lag = time.Since(st.Since).Round(time.Millisecond).String()
	}
	st.Durable = u.barrier.passedAt()
	st.Compared, st.Problems = u.status.lastScan, len(u.status.problems.listed())+u.status.problems.more()+mounts
	now := cmp.Or(ground, u.hindranceLocked(around, mute), u.workLocked())
	st.Phase, st.Reason, st.Todo = now.phase, now.reason, cmp.Or(now.todo, now.phase.todo())
	return st
}

// backlogLocked counts what is to be looked at, a walk as one. u.mu is held.
func (u *unit) backlogLocked() int {
	n := u.dirty.Len() + u.inHand + u.later.owed + len(u.staged) + len(u.bulk.queue)
	if u.bulk.now != nil {
		n++
	}
	if u.status.scanning && !u.glancesLocked() {
		n++
	}
	return n
}

// oldestLocked returns since when the oldest of what is to be looked at has waited; the zero time if nothing has. u.mu is
// held.
func (u *unit) oldestLocked() (since time.Time) {
	waits := func(at time.Time) {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	if u.dirty.Len() > 0 {
		waits(u.dirtySince)
	}
	if u.inHand > 0 {
		waits(u.handSince)
	}
	if u.status.scanning && !u.glancesLocked() {
		waits(u.status.scanStarted)
	}
	if u.later.owed > 0 {
		waits(u.later.owedSince)
	}
	for _, files := range [][]*find{u.staged, u.bulk.queue, {u.bulk.now}} {
		if len(files) > 0 && files[0] != nil {
			waits(files[0].since)
		}
	}
	return since
}

// Settled reports whether nothing is left that could be done now: every unit has compared its place, shown
// what it found and passed the barrier, or cannot go on. failed tells of the latter.
func (r *Replicator) Settled() (settled bool, failed []UnitStatus) {
	units := r.allUnits()
	for _, u := range units {
		done, ok := u.settled()
		if !done {
			return false, nil
		}
		if !ok {
			failed = append(failed, u.report())
		}
	}
	return len(units) > 0, failed
}

// Compared reports whether every unit has compared its place once, or cannot.
func (r *Replicator) Compared() bool {
	units := r.allUnits()
	for _, u := range units {
		u.mu.Lock()
		compared := u.status.scans > 0
		u.mu.Unlock()
		if done, _ := u.settled(); !done && !compared {
			return false
		}
	}
	return len(units) > 0
}

// hopeless is how long a unit has failed when one run gives it up.
const hopeless = 2 * time.Second

func (u *unit) settled() (done, ok bool) {
	if u.r.leftOutBy(u.place) != "" {
		return true, true
	}
	_, volume, _ := u.place.at()
	u.mu.Lock()
	defer u.mu.Unlock()
	if volume == nil || u.status.outage != nil {
		return !u.status.outageSince.IsZero() && time.Since(u.status.outageSince) >= hopeless, false
	}
	soon, waits := u.later.next()
	waits = waits && !u.hurry && time.Until(soon) < 200*time.Millisecond
	done = u.status.scans > 0 && !u.worksLocked() && !waits
	if cramped := u.status.problems.cramped; !cramped.IsZero() { // What was removed last may make room yet.
		return done && time.Since(cramped) >= hopeless, false
	}
	return done, true
}

// worksLocked reports whether something is being done, or is known to be owed and due at once or in a moment: all but
// problems that are listed, files that are left in peace, and a barrier that waits for room. u.mu is held.
func (u *unit) worksLocked() bool {
	return u.dirty.Len() > 0 || u.hurry && len(u.heard) > 0 || u.later.owed > 0 || len(u.staged) > 0 || u.bulk.busyLocked() ||
		!u.barrier.idle() && u.status.problems.cramped.IsZero() || (u.busy || u.scan.wanted || u.status.scanning) && !u.glancesLocked()
}

// Behind returns the targets that have not passed a barrier with all that was seen, or of which that is not known, since a
// part of the source is there and does not answer, or fails. A source that is away and names that failed are not counted.
func (r *Replicator) Behind() []string {
	seen := make(map[string]bool)
	var behind []string
	for _, u := range r.allUnits() {
		if !seen[u.target.Path()] && u.behind() {
			seen[u.target.Path()] = true
			behind = append(behind, u.target.Path())
		}
	}
	return behind
}

// Stranded reports whether whatever is behind waits for a target that is not there, or that is full, so that waiting
// longer for it makes little sense.
func (r *Replicator) Stranded() bool {
	any := false
	for _, u := range r.allUnits() {
		if !u.behind() {
			continue
		}
		u.mu.Lock()
		full := u.status.problems.full > 0 || !u.status.problems.cramped.IsZero()
		waits := targetIsAway(u.status.outage) && u.barrier.idle() || full && !u.worksLocked()
		u.mu.Unlock()
		if !waits {
			return false
		}
		any = true
	}
	return any // What was behind a moment ago may have caught up.
}

// targetIsAway tells a target that is not there from what passes by itself: a source that was not listed yet when
// the unit began, or a mount point that is not on the target yet.
func targetIsAway(outage error) bool {
	var e *weir.Error
	return errors.As(outage, &e) && e.Kind == weir.KindAbsent && e.Op != opSource && !errors.Is(outage, errNoPoint)
}

func (u *unit) behind() bool {
	if u.early() {
		return true
	}
	_, volume, _ := u.place.at()
	unmet := u.place.isAway() && u.isUnmet()
	u.mu.Lock()
	defer u.mu.Unlock()
	if volume == nil {
		return unmet || !u.barrier.idle()
	}
	return u.worksLocked() || !u.barrier.idle() || u.owedLocked() > 0 || u.status.problems.full > 0 || u.failsLocked()
}

// isUnmet reports whether the volume of the place is there, and does not answer whoever would look at it.
func (u *unit) isUnmet() bool {
	if u.r.leftOutBy(u.place) != "" {
		return false
	}
	_, why := u.r.away(u.place)
	return why == whySilent
}

// failsLocked reports whether a look at what does not tell of its changes has failed, or does not return: while that goes on
// nothing else is owed that anybody knows of. u.mu is held.
func (u *unit) failsLocked() bool {
	outage := u.status.outage
	return outage != nil && !targetIsAway(outage) || u.silentLocked() > 0
}
