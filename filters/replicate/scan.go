package replicate

import (
	"context"
	"log/slog"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// scanRequest says that the whole place has to be walked.
type scanRequest struct {
	wanted bool
	full   bool   // content is compared even where the metadata agrees
	audit  bool   // the replica is looked at too
	reason string // a clause for the operator
}

// reasonBlind asks for the walk that volumes without events get at every interval: while it finds nothing it is no news.
const reasonBlind = "its volume reports no events"

// scanWanted asks for a walk of the whole place.
func (u *unit) scanWanted(req scanRequest) {
	u.mu.Lock()
	u.scan.wanted = true
	u.scan.full = u.scan.full || req.full
	u.scan.audit = u.scan.audit || req.audit
	u.scan.reason = req.reason
	u.mu.Unlock()
	u.poke()
}

// walkAll compares the whole place, names and metadata, and reads content only where those do not prove
// that it is the same. Between chunks it carries out what events report meanwhile.
func (u *unit) walkAll(s *session, scan scanRequest) (err error) {
	u.mu.Lock()
	u.scan = scanRequest{}
	u.status.scanning, u.status.scanReason, u.status.scanStarted = true, scan.reason, time.Now()
	u.mu.Unlock()
	u.r.changed()
	from, began := u.gen, time.Now()
	u.mu.Lock()
	regained, missed := u.regained, u.missed
	u.status.problems.walkBegins()
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.status.scanning = false
		if err != nil {
			u.scan.wanted, u.scan.full = true, u.scan.full || scan.full
			u.scan.audit = u.scan.audit || scan.audit
			u.scan.reason = scan.reason
		}
		u.mu.Unlock()
		u.r.changed()
	}()
	if !s.current() {
		return errGone // The walk is owed for the volume that has come meanwhile.
	}
	if err := u.takeRoot(s); err != nil {
		return err
	}
	intents, err := u.prepareAudit(s, scan)
	if err != nil {
		return err
	}
	// Where no store through a mapping leaves a sign, what happened unseen shows in the content alone.
	full := scan.full || s.noMapSign
	_, rollbacks := u.target.Epochs()
	// A walk that does not look at the replica is of what was followed since one did.
	mode := walkMode{whole: true, full: full, audit: scan.audit, followed: !scan.audit}
	if err := u.walkBegins(s.root, mode); err != nil {
		return err
	}
	err = u.walk(s, []weir.Handle{s.root}, mode, true)
	u.walkEnds(err)
	if err != nil {
		return err
	}
	if err := u.walked(s, from, missed); err != nil {
		return err
	}
	if err := u.paid(s, scan, intents, rollbacks, missed); err != nil {
		return err
	}
	u.scanEnded(began, regained)
	return nil
}

// paid ends what a walk was owed for, unless a name was not reached: it may be the one. missed is how many were when
// the walk began.
func (u *unit) paid(s *session, scan scanRequest, intents, rollbacks uint64, missed int) error {
	if scan.audit {
		if err := u.auditUnseen(s); err != nil {
			return err
		}
		if u.amended { // That may have moved what the walk had come by already.
			u.amended = false
			u.scanWanted(scanRequest{audit: true, reason: "what an interruption has left was put right"})
		}
	}
	u.mu.Lock()
	all := u.missed == missed
	u.mu.Unlock()
	if !all {
		return nil
	}
	if scan.full {
		u.walkedFor = rollbacks
	}
	if scan.audit {
		u.intended, u.wandered = nil, nil
		u.audited(intents)
		u.barrier.due(s, u.gen) // Although nothing may have changed: it ends intents that were looked at.
	}
	return u.savePrivileges()
}

// prepareAudit makes ready to find a target that may be older than the index, or newer: it may have lost power. It
// returns the generation of the last intent.
func (u *unit) prepareAudit(s *session, scan scanRequest) (intents uint64, err error) {
	if !scan.audit {
		return 0, nil
	}
	list, intents, err := u.loadIntents()
	if err != nil {
		return 0, err
	}
	if err := u.relocate(s, list); err != nil {
		return 0, err
	}
	if _, err := u.audit(s, replica.Parking); err != nil {
		return 0, err
	}
	return intents, u.removeTemps(s)
}

// takeRoot hands the entries of the former volume's root over to that of the volume that took its place. The
// index remembers which root it has entries for.
func (u *unit) takeRoot(s *session) error {
	former, err := u.ix.Meta(metaRoot)
	if err != nil || string(former) == string(s.root) {
		return err
	}
	b := u.newBatch(s, walkMode{})
	b.ix = u.ix.NewBatch()
	defer b.ix.Close()
	if old := weir.Handle(former); old != "" {
		if err := b.reparent(old, s.root); err != nil {
			return err
		}
		b.ix.Delete(old)
	}
	b.ix.Meta(metaRoot, []byte(s.root))
	return b.ix.Commit(true)
}

// passedOver notes that a name was not shown, under which what is parked may live.
func (u *unit) passedOver() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.missed++
}

// walked ends a walk of the whole place: what is still parked has left the place for good, unless a name was not
// reached, or is still to be looked at, under which it may live. missed is how many were when the walk began.
func (u *unit) walked(s *session, from uint64, missed int) error {
	if _, err := u.present(s); err != nil {
		return err
	}
	u.mu.Lock()
	sure := u.missed == missed && !u.scan.wanted && u.dirty.Len() == 0 && len(u.staged) == 0
	u.mu.Unlock()
	if !sure {
		return u.reap(s, 0)
	}
	if err := u.reap(s, from); err != nil {
		return err
	}
	return u.cleanParking(s)
}

// scanEnded notes that the place was compared as a whole. regained is as for releasedLocked.
func (u *unit) scanEnded(began time.Time, regained int) {
	u.mu.Lock()
	u.status.scans++
	u.status.lastScan, u.status.scanBegan = time.Now(), began
	if u.status.problems.walkEnded(); u.status.problems.met > 0 {
		u.walkAgainLocked()
	}
	u.releasedLocked(regained)
	u.mu.Unlock()
	u.r.scanned(u)
}

// scanned is called when a unit's walk of its whole place has ended.
func (r *Replicator) scanned(u *unit) {
	u.place.lookedAt()
	r.gapsClosed(u)
	u.mu.Lock()
	level := slog.LevelInfo
	if u.status.scanReason == reasonBlind {
		level = slog.LevelDebug
	}
	u.mu.Unlock()
	r.log.Log(context.Background(), level, "place was compared", "place", u.r.label(u.place), "target", weir.LogPath(u.target.Path()))
	r.changed()
}
