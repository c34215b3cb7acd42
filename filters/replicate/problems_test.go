package replicate

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// refuse has names of directories with a thousand entries each fail for want of room.
func refuse(p *problems, names int) {
	for n := range names {
		at := replica.Name{Parent: weir.Handle(fmt.Sprint(n / 1000)), Name: fmt.Sprint(n)}
		if t := p.failed(at, false); t != nil {
			p.put(t, Problem{Path: at.Name, Reason: "full", Since: time.Unix(1, 0), full: true})
		}
	}
}

func TestProblemsAreBoundedAndCounted(t *testing.T) {
	const refused = 1_000_000
	var p problems
	for range 3 {
		p.walkBegins()
		refuse(&p, refused)
		p.walkEnded()
		if p.names != maxProblems || len(p.listed()) != maxProblems || p.full != maxProblems || p.more() != refused-maxProblems {
			t.Fatalf("%d names, %d listed, %d full, and %d more", p.names, len(p.listed()), p.full, p.more())
		}
	}
	if p.walks != 3 || !p.retry {
		t.Errorf("%d walks in a row, another one %v", p.walks, p.retry)
	}

	// While the next walk goes on, what the last one knew counts; then what it has found.
	p.walkBegins()
	if p.more() != refused-maxProblems {
		t.Errorf("more is %d at the beginning of a walk", p.more())
	}
	refuse(&p, 5000)
	p.walkEnded()
	if p.names != 5000 || len(p.listed()) != 5000 || p.more() != 0 || p.walks != 0 {
		t.Errorf("%d names, %d listed, and %d more after %d walks", p.names, len(p.listed()), p.more(), p.walks)
	}
}

func TestProblemsOfADirectoryGoWithIt(t *testing.T) {
	var p problems
	refuse(&p, maxProblems)
	p.resolveIn("3")
	p.resolveIn("4")
	p.resolve(replica.Name{Parent: "5", Name: "5000"})
	p.resolve(replica.Name{Parent: "5", Name: "unknown"})
	if want := maxProblems - 2001; p.names != want || len(p.listed()) != want || p.full != want || len(p.dirs) != 8 {
		t.Errorf("%d names, %d listed, %d full in %d directories", p.names, len(p.listed()), p.full, len(p.dirs))
	}
	listed := 0
	p.each(func(at replica.Name, _ *trouble) {
		listed++
		p.resolve(at)
	})
	if listed != maxProblems-2001 || p.any() || p.full != 0 || !p.since.IsZero() || len(p.dirs) != 0 {
		t.Errorf("%d were listed, left is %+v", listed, p)
	}
}

// TestWalkForgetsWhatItDoesNotFindWrong keeps what it finds wrong, and what it knows to be still owed.
func TestWalkForgetsWhatItDoesNotFindWrong(t *testing.T) {
	var p problems
	refuse(&p, 3)
	p.walkBegins()
	p.failed(replica.Name{Parent: "0", Name: "0"}, true)
	p.owes(replica.Name{Parent: "0", Name: "1"})
	p.owes(replica.Name{Parent: "0", Name: "unknown"})
	p.walkEnded()
	if p.names != 2 || p.dirs["0"]["2"] != nil {
		t.Errorf("left are %v", p.dirs["0"])
	}
}
