package target

import (
	"errors"
	"slices"
	"strings"
)

// ErrCovered holds a subtree of a target on which somebody has mounted a file system. A session's clone of the
// target shows the directories below that mount, which are not what a reader of the replica sees.
var ErrCovered = errors.New("a file system is mounted there on the target: what it covers is left as it is until that is unmounted")

// Covered returns the mount points below the target, relative to it, as they were last looked at.
func (t *Target) Covered() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.covered
}

// Cover looks at what is mounted below the target now, and ends the sessions that began with another view of that.
// It returns the mount points, relative to the target, and a channel that is closed when they are others.
func (t *Target) Cover() (covered []string, moved <-chan struct{}, changed bool) {
	for _, m := range t.options.Mounts.MountsBelow(t.options.Path) {
		covered = append(covered, strings.Trim(strings.TrimPrefix(m.Point, t.options.Path), "/"))
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
