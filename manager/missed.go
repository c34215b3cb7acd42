package manager

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/ledger"
	"github.com/weirfs/weir/topology"
)

// unsought is why a gap is closed of a filter that does not look for what it has missed: there is nothing to wait for.
const unsought = "attached; what was missed is not looked for"

// unseen is why there is a gap before an instance that observes.
const unseen = "mounted by another program: what happened before its mark was not seen"

// unsoughtLeft and left are the same for an instance that never was.
const (
	unsoughtLeft = "the volume has left; what was missed is not looked for"
	left         = "the volume has left before the filter was set up on it"
)

// meet notes from when on an instance is told of everything, if programs could use the volume before: it has just been
// mounted, and not by weir, which would have waited. A gate sees what passes it from the first operation on.
func (m *Manager) meet(in *instance, reason weir.SetupReason, v weir.Volume) {
	told, coming := now(), v.Info().Coming()
	m.mu.Lock()
	defer m.mu.Unlock()
	if reason == weir.SetupNewlyMounted && !coming && !in.gated && m.held[in.joint] != nil {
		in.told = told
	}
}

// metLocked says that an instance has been set up: what others of its filter are told of is not missed.
func (m *Manager) metLocked(in *instance) {
	met := m.volumes[in.pair.Volume].met
	if met[in.pair.Filter] {
		in.told = time.Time{}
	}
	met[in.pair.Filter] = true
}

// recordUnseenLocked records what was done on a volume before an instance that is attached now was told of it.
func (m *Manager) recordUnseenLocked(in *instance) {
	f := m.filters[in.pair.Filter]
	if !in.told.IsZero() && m.accountsFor(f) {
		m.recordMissedLocked(in.pair, m.volumes[in.pair.Volume].since, in.told, unseen, unsought)
	}
}

// accountsFor tells whether the manager records what a filter has missed before an instance was set up.
func (m *Manager) accountsFor(f *weir.Filter) bool {
	return asks(f) && !slices.Contains(m.options.Accounting, f.Name)
}

// recordLeftLocked records what was done on a volume that leaves now, for the filters that were to have an instance on it, and
// never had one. What weir was about to mount itself, nobody could use.
func (m *Manager) recordLeftLocked(volume weir.VolumeID) {
	known := m.volumes[volume]
	if known == nil || known.info.Coming() {
		return
	}
	recorded := map[topology.FilterID]bool{}
	for _, slot := range m.state.View().Slots {
		id := slot.Pair.Filter
		if slot.Pair.Volume != volume || !slot.Owed() || known.met[id] || recorded[id] || !m.accountsFor(m.filters[id]) {
			continue
		}
		recorded[id] = true
		since := known.since
		if loaded := m.lives[id].since; loaded.After(since) {
			since = loaded
		}
		m.recordMissedLocked(slot.Pair, since, now(), left+suffix(": ", slot.Why), unsoughtLeft)
	}
}

// missed records what an instance says that its filter has not seen.
func (m *Manager) missed(in *instance, since time.Time, cause string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch f, err := m.recordsLocked(in); {
	case err != nil:
		return err
	case since.IsZero() || cause == "":
		return recordError(weir.KindRefused, fmt.Errorf("filter %s does not say since when it has missed something, and why", f.Name))
	case since.After(now()):
		return recordError(weir.KindRefused, fmt.Errorf("filter %s says that it has missed something since %v, which has not been yet", f.Name, since))
	}
	m.recordMissedLocked(in.pair, since, now(), cause, unsought)
	return nil
}

// recordMissedLocked records a gap that is over. That of a filter that does not scan is closed, for the reason given.
func (m *Manager) recordMissedLocked(pair topology.Pair, since, until time.Time, cause, closedBy string) {
	f, info := m.filters[pair.Filter], m.volumes[pair.Volume].info
	gap := ledger.Gap{Filter: f.Name, From: since, Until: until, Cause: cause}
	if !f.Scans {
		gap.ClosedBy = closedBy
	}
	m.recorder.put(func(l *ledger.Ledger) error { return l.Missed(info, gap) })
}

// scanned closes the gaps that a scan has closed, as an instance says. It goes the way of all records: those that were
// opened before it are in the ledger by then.
func (m *Manager) scanned(in *instance, began time.Time, by string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.recordsLocked(in)
	switch {
	case err != nil:
		return err
	case !f.Scans:
		return recordError(weir.KindRefused, fmt.Errorf("filter %s is not one that scans: set Filter.Scans", f.Name))
	case by == "":
		return recordError(weir.KindRefused, fmt.Errorf("filter %s does not name its scan", f.Name))
	case began.IsZero() || began.After(now()):
		return recordError(weir.KindRefused, fmt.Errorf("filter %s says that a scan has ended which began at %v: take the time before it begins", f.Name, began))
	}
	info := m.volumes[in.pair.Volume].info
	scan := func(l *ledger.Ledger) error { return l.CloseGaps(info, f.Name, began, by) }
	if !in.attached {
		in.scans = append(in.scans, scan)
		return nil
	}
	m.recorder.put(scan)
	return nil
}

// recordScansLocked records the scans that ended before their instance was attached, behind what these have looked for.
func (m *Manager) recordScansLocked(in *instance) {
	for _, scan := range in.scans {
		m.recorder.put(scan)
	}
	in.attached, in.scans = true, nil
}

// recordsLocked returns the filter of an instance that has not ended.
func (m *Manager) recordsLocked(in *instance) (*weir.Filter, error) {
	f := m.filters[in.pair.Filter]
	if in.ended || f == nil || m.volumes[in.pair.Volume] == nil {
		return nil, recordError(weir.KindAbsent, errors.New("the instance has ended"))
	}
	return f, nil
}

func recordError(kind weir.Kind, err error) error {
	return &weir.Error{Op: "record what was missed", Kind: kind, Err: err}
}
