package replicate

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

var pathRetries = replica.Backoff{First: 500 * time.Millisecond, Max: time.Minute}

// isHeld tells what is not tried again by itself: what holds it says when it lets go, or weir starts anew.
func isHeld(err error) bool {
	return errors.Is(err, errBrake) || errors.Is(err, errPinned) || errors.Is(err, errLeft) || errors.Is(err, target.ErrCovered) || target.IsUnstorable(err)
}

// misses reports whether what is parked may live under a name that was not shown. What is kept where it is hides nothing,
// unless something else is to come there.
func misses(f *find, err error) bool {
	if errors.Is(err, errBrake) || errors.Is(err, errPinned) {
		return !f.absent
	}
	return !isHeld(err) || errors.Is(err, target.ErrCovered)
}

// fullRetry is the longest time between two tries of what a target has no room for.
const fullRetry = 2 * time.Second

// problem notes that a name could not be replicated and when it is tried again.
func (u *unit) problem(path string, f *find, err error) {
	path = cmp.Or(path, self)
	level := slog.LevelWarn
	u.mu.Lock()
	first := u.problemLocked(path, f, err)
	if target.Full(err) && u.status.problems.full > 1 {
		level = slog.LevelDebug // One such line is news, and all are listed.
	}
	u.mu.Unlock()
	if first {
		u.r.log.Log(context.Background(), level, "not replicated", "path", weir.LogPath(path), "target", weir.LogPath(u.target.Path()), "reason", plain(err))
		u.r.changed()
	}
}

func (u *unit) problemLocked(path string, f *find, err error) (first bool) {
	again := f.item(f.ops | weir.OpModify)
	switch f.at.Name {
	case "":
		again = replica.Item{Dir: f.at.Parent, Tree: true}
	case self:
		again = replica.Item{Dir: f.at.Parent}
	}
	if misses(f, err) {
		u.missed++
	}
	now := time.Now()
	if errors.Is(err, errVanished) {
		u.later.owe(now.Add(20*time.Millisecond), f.item(f.ops))
		return false
	}
	t := u.failedLocked(f.at, isHeld(err))
	if t == nil {
		return false
	}
	if isLeaving(err) && t.tries <= leavingTries {
		u.later.owe(now.Add(20*time.Millisecond<<t.tries), again)
		return false
	}
	wait := pathRetries.Delay(t.tries)
	if target.Full(err) {
		wait = min(wait, fullRetry)
		if f.attempt.count > 0 {
			t.attempt = f.attempt.failed(now)
		}
	}
	if !isHeld(err) {
		u.later.add(now.Add(wait), again)
	}
	return u.status.problems.put(t, Problem{Path: path, Target: u.target.Path(), Reason: plain(err), Since: now, full: target.Full(err), held: heldBy(err), braked: namesHeld(err)})
}

// failedLocked counts a failure. It returns nil, and has the place walked again later, if there is no room to remember
// the name. u.mu is held.
func (u *unit) failedLocked(at replica.Name, held bool) *trouble {
	t := u.status.problems.failed(at, held)
	if t == nil && !u.status.scanning {
		u.walkAgainLocked()
	}
	return t
}

// walkShare is the part of the time, one in so many, that walks may take which look for names that failed.
const walkShare = 10

// walkAgainLocked has the place walked for names that failed and are not remembered. What is held by something that
// tells when it lets go is only counted anew now and then. u.mu is held.
func (u *unit) walkAgainLocked() {
	wait := idle
	if p := &u.status.problems; p.retry {
		wait = max(pathRetries.Delay(p.walks), walkShare*u.status.lastScan.Sub(u.status.scanBegan))
	}
	u.later.addWalk(time.Now().Add(wait))
}

// plain is an error's text without the internal names of temporaries.
func plain(err error) string {
	if target.Full(err) {
		return "the target is full: " + target.Reason(err)
	}
	var braked brakeError
	if errors.As(err, &braked) {
		return braked.Error()
	}
	if held := heldBy(err); held != nil {
		return held.Error()
	}
	return temporary.ReplaceAllString(err.Error(), "")
}

// heldBy returns which of the errors that are told without a path an error is, or nil.
func heldBy(err error) error {
	for _, held := range []error{target.ErrCovered, errBrake, errPinned, errDevice} {
		if errors.Is(err, held) {
			return held
		}
	}
	return nil
}

// temporary is what tempName makes, where it stands in the text of an error.
var temporary = regexp.MustCompile(` ?\b[0-9]+-[0-9]{16,}\b`)

// partly notes what the target did not store of a file that was replicated. What it had no room for is tried again.
func (u *unit) partly(path string, at replica.Name, refused tree.Unstored) {
	path = cmp.Or(path, self)
	full := slices.ContainsFunc(refused, func(r tree.Refusal) bool { return target.Full(r.Err) })
	first, now := false, time.Now()
	u.mu.Lock()
	if t := u.failedLocked(at, !full); t != nil {
		if full {
			u.later.add(now.Add(pathRetries.Delay(t.tries)), replica.Item{Dir: at.Parent, Name: at.Name, Ops: weir.OpAttrib})
		}
		first = u.status.problems.put(t, Problem{
			Path: path, Target: u.target.Path(), Reason: "not stored: " + refused.String(), Since: now, Partial: true,
		})
	}
	u.mu.Unlock()
	if first {
		u.r.log.Warn("not stored in full", "path", weir.LogPath(path), "target", weir.LogPath(u.target.Path()), "reason", refused.String())
		u.r.changed()
	}
}

// troubled reports whether there is any problem.
func (u *unit) troubled() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status.problems.any()
}

// resolved forgets what was wrong with a name.
func (u *unit) resolved(at replica.Name) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.resolvedLocked(func(p *problems) { p.resolve(at) })
}

// resolvedLocked forgets problems. Once all that are remembered have passed, the others are looked for at once; and once
// the brake holds less, or nothing any more, it is found out whether it can let go. At the end of a walk that is done in
// any case. u.mu is held.
func (u *unit) resolvedLocked(forget func(p *problems)) {
	p := &u.status.problems
	if !p.any() {
		return
	}
	braked := p.braked
	forget(p)
	if !u.status.scanning && (!p.any() && p.more() > 0 || p.braked < braked && u.madeUpLocked()) {
		u.later.addWalk(time.Now())
	}
}

// resolvedIn forgets what was wrong in a directory that is gone, and that files in it were left in peace: under another
// name they are looked at anew.
func (u *unit) resolvedIn(dir weir.Handle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.settle, func(_ weir.Handle, st settling) bool { return st.at.Parent == dir })
	u.resolvedLocked(func(p *problems) { p.resolveIn(dir) })
}

// cramped says whether barriers wait for room.
func (u *unit) cramped(is bool) {
	u.mu.Lock()
	since := &u.status.problems.cramped
	changed := since.IsZero() == is
	switch {
	case changed && is:
		*since = time.Now()
	case changed:
		*since = time.Time{}
	}
	u.mu.Unlock()
	if changed {
		u.r.changed()
	}
}

// movedDir says that the paths of problems may have changed.
func (u *unit) movedDir() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status.problems.moved = u.status.problems.any()
}

// settleProblem ends what was wrong with a name that was shown without an error, unless something is still to come.
func (b *batch) settleProblem(f *find) error {
	if !b.u.troubled() {
		return nil
	}
	owes, err := b.owes(f)
	switch {
	case err != nil:
		return err
	case owes:
		b.u.stillOwes(f.at)
	default:
		b.u.resolved(f.at)
	}
	return nil
}

// owes reports whether a name that was shown is not yet what the source has.
func (b *batch) owes(f *find) (bool, error) {
	switch {
	case f.large || f.deferred:
		return true, nil
	case f.skip || f.absent:
		return false, nil
	case f.object.IsFile() && f.work >= replica.Compare && f.copied == nil:
		return true, nil // It is looked at again.
	}
	node, known, err := b.ix.Get(f.key)
	if err != nil || !known || node.Flags&replica.Partial != 0 {
		return true, err
	}
	return f.object.IsDir() && b.touched[f.key], nil // Its metadata is to come.
}

// stillOwes says of a name that failed that it is not done yet.
func (u *unit) stillOwes(at replica.Name) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status.problems.owes(at)
}

// placeProblems finds out where the listed problems are now: they have a path, or have left the tree with a directory.
func (u *unit) placeProblems() {
	u.mu.Lock()
	moved := u.status.problems.moved
	u.status.problems.moved = false
	var list []replica.Name
	u.status.problems.each(func(at replica.Name, t *trouble) {
		if moved || !t.placed {
			list = append(list, at)
		}
	})
	u.mu.Unlock()
	rel, _, root := u.place.at()
	s := &session{u: u, root: root, rel: rel}
	for _, at := range list {
		path, parked, known := s.where(u.ix, at)
		if !known {
			continue // The batch that makes the directory has not told its name yet.
		}
		u.mu.Lock()
		if t := u.status.problems.dirs[at.Parent][at.Name]; t != nil && t.Reason != "" {
			t.Path, t.placed, t.parked = cmp.Or(path, self), true, parked && at.Parent != replica.Parking
		}
		u.mu.Unlock()
	}
}

// path is session.path outside of a session.
func (u *unit) path(ix nodes, at replica.Name) string {
	rel, _, root := u.place.at()
	return (&session{u: u, root: root, rel: rel}).path(ix, at)
}
