package replicate

import (
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// Problem is one path that could not be replicated, or not as it is.
type Problem struct {
	Path    string    `json:"path"`
	Target  string    `json:"target"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Partial bool      `json:"partial"` // the file is there; part of its metadata is not

	full bool  // for want of room
	held error // see heldBy

	braked int // how many names wait for the brake with it
}

// maxProblems is how many names that failed are remembered one by one. Of the others it is known how many the last
// walk of the whole place has met, and that there has to be another one.
const maxProblems = 10_000

// problems is what could not be replicated, by directory and name: a directory may move and keeps its troubles. The
// zero value is empty. unit.mu guards it.
type problems struct {
	dirs    map[weir.Handle]map[string]*trouble
	names   int       // in all of dirs
	full    int       // how many of them are for want of room
	braked  int       // how many names the brake holds, those in directories that it holds included
	since   time.Time // when full became more than 0
	cramped time.Time // since when no barrier passes for want of room; zero while they pass
	moved   bool      // a directory has moved: paths may be others

	walk  int  // counts the walks of the whole place
	walks int  // how many in a row have met names for which there was no room here
	met   int  // such names, since the last walk began
	known int  // such names, when it began
	retry bool // some of those met are worth another try
}

// trouble is a name that has failed. It is listed once it has a reason: some failures pass by themselves.
type trouble struct {
	Problem
	tries  int  // in a row
	walk   int  // in which it failed last, or was seen to be still owed
	placed bool // it was found out where it is
	parked bool // its directory has left the tree, and may come back

	attempt attempt // to copy it, if there was no room
}

func (p *problems) any() bool { return p.names > 0 }

// more is about how many names have failed beyond those that are remembered.
func (p *problems) more() int { return max(p.met, p.known) }

// waits is how many names wait for the brake, at the least: of those that are not remembered each may.
func (p *problems) waits() int64 { return int64(p.braked + p.more()) }

// failed counts a failure, of what is held or is worth another try. It returns nil if there is no room to remember
// the name.
func (p *problems) failed(at replica.Name, held bool) *trouble {
	t := p.dirs[at.Parent][at.Name]
	switch {
	case t == nil && p.names >= maxProblems:
		p.met++
		p.retry = p.retry || !held
		return nil
	case t == nil:
		if p.dirs == nil {
			p.dirs = make(map[weir.Handle]map[string]*trouble)
		}
		if p.dirs[at.Parent] == nil {
			p.dirs[at.Parent] = make(map[string]*trouble)
		}
		t = new(trouble)
		p.dirs[at.Parent][at.Name] = t
		p.names++
	}
	t.tries++
	t.walk = p.walk
	return t
}

// put lists a trouble and reports whether that is news.
func (p *problems) put(t *trouble, problem Problem) bool {
	if t.Reason == problem.Reason && t.Path == problem.Path {
		return false
	}
	p.unlist(t)
	p.braked += problem.braked
	if t.Problem, t.placed = problem, false; problem.full {
		if p.full++; p.since.IsZero() {
			p.since = problem.Since
		}
	}
	return true
}

func (p *problems) unlist(t *trouble) {
	p.braked -= t.braked
	if t.full {
		if p.full--; p.full == 0 {
			p.since = time.Time{}
		}
	}
	t.Problem = Problem{}
}

// owes says of a name that failed that it is not done yet: a walk has met it, and something is still to come.
func (p *problems) owes(at replica.Name) {
	if t := p.dirs[at.Parent][at.Name]; t != nil {
		t.walk = p.walk
	}
}

// resolve forgets what was wrong with a name.
func (p *problems) resolve(at replica.Name) {
	if t := p.dirs[at.Parent][at.Name]; t != nil {
		p.unlist(t)
		p.names--
		if delete(p.dirs[at.Parent], at.Name); len(p.dirs[at.Parent]) == 0 {
			delete(p.dirs, at.Parent)
		}
	}
}

// resolveIn forgets what was wrong with the names of a directory that is gone.
func (p *problems) resolveIn(dir weir.Handle) {
	for name := range p.dirs[dir] {
		p.resolve(replica.Name{Parent: dir, Name: name})
	}
}

// each calls fn for what is listed, which may resolve it.
func (p *problems) each(fn func(at replica.Name, t *trouble)) {
	for dir, names := range p.dirs {
		for name, t := range names {
			if t.Reason != "" {
				fn(replica.Name{Parent: dir, Name: name}, t)
			}
		}
	}
}

// listed returns what is listed, but for what has left the tree.
func (p *problems) listed() (list []Problem) {
	p.each(func(_ replica.Name, t *trouble) {
		if !t.parked {
			list = append(list, t.Problem)
		}
	})
	return list
}

// walkBegins says that all names of the place are going to be looked at.
func (p *problems) walkBegins() {
	p.known, p.met, p.retry = p.more(), 0, false
	p.walk++
}

// walkEnded forgets what was wrong with names that the walk has not found wrong any more.
func (p *problems) walkEnded() {
	for dir, names := range p.dirs {
		for name, t := range names {
			if t.walk < p.walk {
				p.resolve(replica.Name{Parent: dir, Name: name})
			}
		}
	}
	if p.known = 0; p.met > 0 {
		p.walks++
	} else {
		p.walks = 0
	}
}
