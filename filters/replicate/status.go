package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// counters are totals of the whole mirror since its start.
type counters struct {
	files, dirs, read, written, seen, removed atomic.Int64
}

// unitStatus is guarded by unit.mu, except for what says otherwise.
type unitStatus struct {
	outage     error // of the source or the whole target; nil while all is well
	outages    int   // in a row
	retryAt    time.Time
	scanning   bool
	scanReason string
	scans      int
	lastScan   time.Time
	scanBegan  time.Time // when the last walk that has ended began
	fullSince  time.Time
	problems   map[string]Problem
	more       int64 // problems that are not listed one by one
	aside      []string
	failures   map[replica.Name]int
	syncCost   atomic.Int64 // nanoseconds of the last sync of the target; not guarded
}

func (s *unitStatus) synced(took time.Duration) { s.syncCost.Store(int64(took)) }

// Problem is one path that could not be replicated, or not as it is.
type Problem struct {
	Path    string    `json:"path"`
	Target  string    `json:"target"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Partial bool      `json:"partial"` // the file is there; part of its metadata is not
}

// maxProblems is how many problems are listed one by one.
const maxProblems = 10_000

var pathRetries = replica.Backoff{First: 500 * time.Millisecond, Max: time.Minute}

// problem notes that a name could not be replicated and when it is tried again.
func (u *unit) problem(path string, f *find, err error) {
	if errors.Is(err, errVanished) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.later.add(time.Now().Add(20*time.Millisecond), replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: f.ops})
		return
	}
	u.mu.Lock()
	if u.status.failures == nil {
		u.status.failures = make(map[replica.Name]int)
	}
	u.status.failures[f.at]++
	n := u.status.failures[f.at]
	wait := pathRetries.Delay(n)
	if isLeaving(err) && n <= leavingTries {
		u.later.add(time.Now().Add(20*time.Millisecond<<n), replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: f.ops | weir.OpModify})
		u.mu.Unlock()
		return
	}
	if full(err) {
		wait = min(wait, 2*time.Second)
		if u.status.fullSince.IsZero() {
			u.status.fullSince = time.Now()
		}
	}
	if !errors.Is(err, errBrake) && !errors.Is(err, errPinned) && !errors.Is(err, errCovered) && !isUnstorable(err) {
		u.later.add(time.Now().Add(wait), replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: f.ops | weir.OpModify})
	}
	first := u.noteLocked(path, plain(err), false)
	u.mu.Unlock()
	if first {
		u.r.log.Warn("not replicated", "path", weir.QuotePath(path), "target", weir.QuotePath(u.target.path), "reason", plain(err))
		u.r.changed()
	}
}

// plain is an error's text without the internal names of temporaries.
func plain(err error) string {
	switch {
	case full(err):
		return "the target is full: " + errnoText(err)
	case errors.Is(err, errCovered):
		return errCovered.Error()
	case errors.Is(err, errBrake), errors.Is(err, errPinned), errors.Is(err, errDevice):
		return err.Error()
	}
	return err.Error()
}

// noteLocked lists a problem and reports whether it is new.
func (u *unit) noteLocked(path, reason string, partial bool) bool {
	if u.status.problems == nil {
		u.status.problems = make(map[string]Problem)
	}
	old, ok := u.status.problems[path]
	if ok && old.Reason == reason {
		return false
	}
	if !ok && len(u.status.problems) >= maxProblems {
		u.status.more++
		return false
	}
	u.status.problems[path] = Problem{Path: path, Target: u.target.path, Reason: reason, Since: time.Now(), Partial: partial}
	return true
}

// stored notes what the target did not store of a file that was replicated, or that all went well.
func (u *unit) stored(path string, refused tree.Unstored) {
	u.mu.Lock()
	if len(refused) == 0 {
		delete(u.status.problems, path)
		u.mu.Unlock()
		return
	}
	first := u.noteLocked(path, "not stored: "+refused.String(), true)
	u.mu.Unlock()
	if first {
		u.r.log.Warn("not stored in full", "path", weir.QuotePath(path), "target", weir.QuotePath(u.target.path), "reason", refused.String())
	}
}

// troubled reports whether any problem is listed.
func (u *unit) troubled() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.status.problems) > 0
}

// skipped notes a file that the options leave out.
func (u *unit) skipped(path string, why error) {
	u.r.log.Debug("left out", "path", weir.QuotePath(path), "reason", why)
}

// drifted notes a path of the replica that somebody else has changed.
func (u *unit) drifted(path string) {
	u.r.log.Warn("the replica was changed by somebody else and is put right", "path", weir.QuotePath(path),
		"target", weir.QuotePath(u.target.path))
}

// setAside notes what was moved out of the way.
func (u *unit) setAside(path string) {
	u.mu.Lock()
	if len(u.status.aside) < maxProblems {
		u.status.aside = append(u.status.aside, path)
	}
	u.mu.Unlock()
	u.r.log.Warn("set aside", "path", weir.QuotePath(path), "target", weir.QuotePath(u.target.path), "below", HiddenDir+"/"+asideDir)
}

// asideDir opens the directory in which a path is set aside, and returns a free name in it. Each run of
// weir has a directory of its own.
func (s *session) asideDir(_ time.Time, path string) (*tree.Dir, string, error) {
	dir, err := tree.Open(s.dst.setOff.FD())
	if err != nil {
		return nil, "", err
	}
	parts := append([]string{s.u.r.stamp}, strings.Split(path, "/")...)
	for _, part := range parts[:len(parts)-1] {
		next, err := openOrMake(dir, part)
		dir.Close()
		if err != nil {
			return nil, "", err
		}
		dir = next
	}
	name := parts[len(parts)-1]
	for n := 2; ; n++ {
		if _, err := dir.Lookup(name); err != nil {
			return dir, name, nil
		}
		name = fmt.Sprintf("%.240s~%d", parts[len(parts)-1], n)
	}
}

func openOrMake(dir *tree.Dir, name string) (*tree.Dir, error) {
	if err := dir.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return dir.OpenDir(name)
}

// shownFile counts a file that got new content, and not one that the target had already.
func (u *unit) shownFile(f *find) {
	if f.copied.temp != "" {
		u.r.counters.files.Add(1)
	}
	u.mu.Lock()
	if len(u.status.failures) > 0 {
		delete(u.status.failures, f.at)
	}
	u.status.fullSince = time.Time{}
	u.mu.Unlock()
}
