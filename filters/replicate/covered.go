package replicate

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/weirfs/weir"
)

// errCovered holds a subtree of a target on which somebody has mounted a file system. A session's clone of the
// target shows the directories below that mount, which are not what a reader of the replica sees.
var errCovered = errors.New("a file system is mounted there on the target: what it covers is left as it is until that is unmounted")

// uncoverEvery is how often it is asked whether a mount below a target has left, while there is one. Of a volume
// that shows no part of the source nobody tells that.
const uncoverEvery = time.Second

// cover looks at what is mounted below the target now, and ends the sessions that began with another view of that.
// It returns the mount points, relative to the target, and a channel that is closed when they are others.
func (t *target) cover() (covered []string, moved <-chan struct{}, changed bool) {
	for _, m := range t.mounts.MountsBelow(t.path) {
		covered = append(covered, strings.Trim(strings.TrimPrefix(m.Point, t.path), "/"))
	}
	slices.Sort(covered)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.coveredMoved == nil {
		t.coveredMoved = make(chan struct{})
	}
	if changed = !slices.Equal(covered, t.covered); changed {
		t.covered = covered
		close(t.coveredMoved)
		t.coveredMoved = make(chan struct{})
	}
	return covered, t.coveredMoved, changed
}

// coverTargets looks at what is mounted below the targets, and has those compared where that has changed.
func (r *Replicator) coverTargets() {
	for _, t := range r.targets {
		covered, _, changed := t.cover()
		if !changed {
			continue
		}
		if len(covered) > 0 {
			r.log.Warn("file systems are mounted below a target: nothing is written there", "target", weir.QuotePath(t.path), "at", covered)
		}
		r.uncovered(t)
	}
}

// uncovered has the replicas on a target compared again, since what was held may go on.
func (r *Replicator) uncovered(t *target) {
	for _, u := range r.unitsOn(t) {
		u.mu.Lock()
		for at, p := range u.status.problems.listed {
			if p.Reason == errCovered.Error() {
				u.status.problems.resolve(at)
			}
		}
		u.mu.Unlock()
		u.scanWanted(scanRequest{audit: true, reason: "what is mounted below the target has changed"})
	}
	r.changed()
}

// anyCovered reports whether something is mounted below a target.
func (r *Replicator) anyCovered() bool {
	return slices.ContainsFunc(r.targets, func(t *target) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return len(t.covered) > 0
	})
}

// leftOutMoved reports whether a mount below the source that is not followed may have left, of which nobody tells
// either: what it covered is to be looked at.
func (r *Replicator) leftOutMoved() bool {
	r.mu.Lock()
	watched, before := len(r.notes) > 0, r.mounted
	r.mu.Unlock()
	return watched && len(r.options.Mounts.MountsBelow(r.options.Source)) != before
}

// reach makes sure that a path, relative to the target's root, is not on or below a mount.
func (h *hold) reach(path string) error {
	for _, c := range h.covered {
		if path == c || strings.HasPrefix(path, c+"/") {
			return errCovered
		}
	}
	return nil
}

// reachDir is reach for a directory of a place: below its root, or below its parking.
func (s *session) reachDir(parked bool, names []string) error {
	if len(s.dst.covered) == 0 {
		return nil
	}
	top := s.dstPath
	if parked {
		top = s.dst.parkedPath
	}
	return s.dst.reach(strings.Join(append(slices.Clone(top), names...), "/"))
}
