package replicate

import (
	"errors"
	"regexp"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// Problem is one path that could not be replicated, or not as it is.
type Problem struct {
	Path    string    `json:"path"`
	Target  string    `json:"target"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Partial bool      `json:"partial"` // the file is there; part of its metadata is not

	full bool // for want of room
}

// maxProblems is how many problems are listed one by one.
const maxProblems = 10_000

var pathRetries = replica.Backoff{First: 500 * time.Millisecond, Max: time.Minute}

// problems is what could not be replicated, by name: a directory may move and keeps its troubles. The zero value
// is empty. unit.mu guards it.
type problems struct {
	listed   map[replica.Name]Problem
	unlisted map[replica.Name]struct{} // beyond maxProblems
	failures map[replica.Name]int      // how often a name has failed in a row
	full     int                       // how many of listed are for want of room
	since    time.Time                 // when full became more than 0
	cramped  bool                      // no barrier passes for want of room
	moved    bool                      // a directory has moved: paths may be others
}

func (p *problems) any() bool { return len(p.listed)+len(p.unlisted)+len(p.failures) > 0 }

// failed counts a failure.
func (p *problems) failed(at replica.Name) int {
	if p.failures == nil {
		p.failures = make(map[replica.Name]int)
	}
	p.failures[at]++
	return p.failures[at]
}

// put lists a problem and reports whether it is new.
func (p *problems) put(at replica.Name, problem Problem) bool {
	old, ok := p.listed[at]
	if ok && old.Reason == problem.Reason && old.Path == problem.Path {
		return false
	}
	if !ok && len(p.listed) >= maxProblems {
		if p.unlisted == nil {
			p.unlisted = make(map[replica.Name]struct{})
		}
		p.unlisted[at] = struct{}{}
		return false
	}
	p.unlist(at)
	if p.listed == nil {
		p.listed = make(map[replica.Name]Problem)
	}
	if p.listed[at] = problem; problem.full {
		if p.full++; p.since.IsZero() {
			p.since = problem.Since
		}
	}
	return true
}

func (p *problems) unlist(at replica.Name) {
	delete(p.unlisted, at)
	if p.listed[at].full {
		if p.full--; p.full == 0 {
			p.since = time.Time{}
		}
	}
	delete(p.listed, at)
}

// resolve forgets what was wrong with a name.
func (p *problems) resolve(at replica.Name) {
	delete(p.failures, at)
	p.unlist(at)
}

// resolveIn forgets what was wrong with the names of a directory that is gone.
func (p *problems) resolveIn(dir weir.Handle) {
	for at := range p.failures {
		if at.Parent == dir {
			p.resolve(at)
		}
	}
	for at := range p.listed {
		if at.Parent == dir {
			p.resolve(at)
		}
	}
	for at := range p.unlisted {
		if at.Parent == dir {
			p.resolve(at)
		}
	}
}

// isHeld tells what is not tried again by itself: what holds it says when it lets go, or weir starts anew.
func isHeld(err error) bool {
	return errors.Is(err, errBrake) || errors.Is(err, errPinned) || errors.Is(err, target.ErrCovered) || target.IsUnstorable(err)
}

// fullRetry is the longest time between two tries of what a target has no room for.
const fullRetry = 2 * time.Second

// problem notes that a name could not be replicated and when it is tried again.
func (u *unit) problem(path string, f *find, err error) {
	again := replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: f.ops | weir.OpModify}
	if f.at.Name == "" {
		again = replica.Item{Dir: f.at.Parent, Tree: true}
	}
	u.mu.Lock()
	if !errors.Is(err, errBrake) && !errors.Is(err, errPinned) && !target.IsUnstorable(err) {
		u.missed++
	}
	if errors.Is(err, errVanished) {
		defer u.mu.Unlock()
		u.later.add(time.Now().Add(20*time.Millisecond), replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: f.ops})
		return
	}
	n := u.status.problems.failed(f.at)
	wait := pathRetries.Delay(n)
	if isLeaving(err) && n <= leavingTries {
		u.later.add(time.Now().Add(20*time.Millisecond<<n), again)
		u.mu.Unlock()
		return
	}
	if target.Full(err) {
		wait = min(wait, fullRetry)
	}
	if !isHeld(err) {
		u.later.add(time.Now().Add(wait), again)
	}
	first := u.status.problems.put(f.at, Problem{Path: path, Target: u.target.Path(), Reason: plain(err), Since: time.Now(), full: target.Full(err)})
	u.mu.Unlock()
	if first {
		u.r.log.Warn("not replicated", "path", weir.QuotePath(path), "target", weir.QuotePath(u.target.Path()), "reason", plain(err))
		u.r.changed()
	}
}

// plain is an error's text without the internal names of temporaries.
func plain(err error) string {
	if target.Full(err) {
		return "the target is full: " + target.Reason(err)
	}
	for _, held := range []error{target.ErrCovered, errBrake, errPinned, errDevice} {
		if errors.Is(err, held) {
			return held.Error()
		}
	}
	return temporary.ReplaceAllString(err.Error(), "")
}

// temporary is what tempName makes, where it stands in the text of an error.
var temporary = regexp.MustCompile(` ?\b[0-9]+-[0-9]{16,}\b`)

// partly notes what the target did not store of a file that was replicated. What it had no room for is tried again.
func (u *unit) partly(path string, at replica.Name, refused tree.Unstored) {
	u.mu.Lock()
	for _, r := range refused {
		if target.Full(r.Err) {
			wait := pathRetries.Delay(u.status.problems.failed(at))
			u.later.add(time.Now().Add(wait), replica.Item{Dir: at.Parent, Name: at.Name, Ops: weir.OpAttrib})
			break
		}
	}
	first := u.status.problems.put(at, Problem{
		Path: path, Target: u.target.Path(), Reason: "not stored: " + refused.String(), Since: time.Now(), Partial: true,
	})
	u.mu.Unlock()
	if first {
		u.r.log.Warn("not stored in full", "path", weir.QuotePath(path), "target", weir.QuotePath(u.target.Path()), "reason", refused.String())
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
	u.status.problems.resolve(at)
}

// resolvedIn forgets what was wrong in a directory that is gone.
func (u *unit) resolvedIn(dir weir.Handle) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.status.problems.any() {
		u.status.problems.resolveIn(dir)
	}
}

// cramped says whether barriers wait for room.
func (u *unit) cramped(is bool) {
	u.mu.Lock()
	changed := u.status.problems.cramped != is
	u.status.problems.cramped = is
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

// settleProblem ends what was wrong with a name that was shown without an error.
func (b *batch) settleProblem(f *find) error {
	if !b.u.troubled() || f.large || f.deferred {
		return nil
	}
	if !f.skip && !f.absent {
		if f.object.IsFile() && f.work >= replica.Compare && f.copied == nil {
			return nil // It is looked at again.
		}
		if node, known, err := b.ix.Get(f.key); err != nil || !known || node.Flags&replica.Partial != 0 {
			return err
		}
		if f.object.IsDir() && b.touched[f.key] {
			return nil // Its metadata is to come.
		}
	}
	b.u.resolved(f.at)
	return nil
}

// path is session.path outside of a session.
func (u *unit) path(ix nodes, at replica.Name) string {
	rel, _, root := u.place.at()
	return (&session{u: u, root: root, rel: rel}).path(ix, at)
}

// renameProblems gives the listed problems the paths that they have now.
func (u *unit) renameProblems() {
	u.mu.Lock()
	moved := u.status.problems.moved
	u.status.problems.moved = false
	var list []replica.Name
	if moved {
		for at := range u.status.problems.listed {
			list = append(list, at)
		}
	}
	u.mu.Unlock()
	for _, at := range list {
		path := u.path(u.ix, at)
		u.mu.Lock()
		if p, ok := u.status.problems.listed[at]; ok {
			p.Path = path
			u.status.problems.listed[at] = p
		}
		u.mu.Unlock()
	}
}
