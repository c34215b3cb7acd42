package replicate

import (
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
)

// uncoverEvery is how often it is asked whether a mount below a target has left, while there is one. Of a volume
// that shows no part of the source nobody tells that.
const uncoverEvery = time.Second

// coverTargets looks at what is mounted below the targets, and has those compared where that has changed.
func (r *Replicator) coverTargets() {
	for _, t := range r.targets {
		covered, _, changed := t.Cover()
		if !changed {
			continue
		}
		if len(covered) > 0 {
			r.log.Warn("file systems are mounted below a target: nothing is written there", "target", weir.LogPath(t.Path()), "at", covered)
		}
		r.uncovered(t)
	}
}

// uncovered has the replicas on a target compared again, since what was held may go on.
func (r *Replicator) uncovered(t *target.Target) {
	for _, u := range r.unitsOn(t) {
		u.scanWanted(scanRequest{audit: true, reason: "what is mounted below the target has changed"})
	}
	r.changed()
}

// anyCovered reports whether something is mounted below a target.
func (r *Replicator) anyCovered() bool {
	return slices.ContainsFunc(r.targets, func(t *target.Target) bool { return len(t.Covered()) > 0 })
}

// unaskedMoved reports whether a mount below the source that is not followed may have left, or one of a volume that is
// excluded have come, of which nobody tells either: what it covers, or covered, is to be looked at.
func (r *Replicator) unaskedMoved() bool {
	r.mu.Lock()
	watched, before := len(r.notes) > 0 || r.options.Excludes != nil, r.mounted
	r.mu.Unlock()
	return watched && len(r.options.Mounts.MountsBelow(r.options.Source)) != before
}

// sourceIsBack reports whether a source that was away, or that another directory has stood in for, may be there again. A
// rename may have brought it, of which nobody tells either.
func (r *Replicator) sourceIsBack() bool {
	root := r.rootPlace()
	root.mu.Lock()
	away, mounted := root.volume == nil || root.holding != "" && !root.mountRoot, root.known && root.mountRoot
	root.mu.Unlock()
	if !away {
		return false
	}
	volume, err := r.at(r.options.Source)
	if err != nil {
		return false
	}
	r.mu.Lock()
	_, attached := r.attached[volume.ID()]
	r.mu.Unlock()
	return attached && (!mounted || mountedAt(volume.Info(), r.options.Source))
}

// reachDir is Hold.Reach for a directory of a place: below its root, or below its parking.
func (s *session) reachDir(parked bool, names []string) error {
	if parked {
		return s.dst.ReachParked(names)
	}
	return s.dst.Reach(append(slices.Clone(s.dstPath), names...))
}
