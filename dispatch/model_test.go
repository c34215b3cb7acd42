package dispatch

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weirfs/weir"
	"pgregory.net/rapid"
)

// The model: instances of random kinds come and go while operations run. What an instance does with an operation is
// decided by a hash, so that it can be computed again when the operation's story is checked.

// kind is what an instance asks for.
type kind struct{ before, after weir.Ops }

// actor is one instance of the model.
type actor struct {
	id       int
	altitude int
	kind     kind
	seed     uint32
	in       *Instance

	mu      sync.Mutex
	ended   bool // its Teardown has returned
	late    bool // it was called after that
	story   *story
	resumes sync.WaitGroup
}

// event is one step of an operation.
type event struct {
	what string // "pre", "post", "drain" or "volume"
	a    *actor
	name string
}

// story is what happened to each operation.
type story struct {
	mu     sync.Mutex
	events map[int64][]event
}

func (s *story) add(operation int64, e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[operation] = append(s.events[operation], e)
}

// chance is a number below n that depends on the instance, the operation and what it is for.
func (a *actor) chance(operation int64, what string, n uint32) uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, a.seed, a.id, operation, what)
	return h.Sum32() / 7 % n
}

func (a *actor) dirty(operation int64) bool { return a.chance(operation, "dirty", 3) == 0 }
func (a *actor) pends(operation int64) bool { return a.chance(operation, "pend", 4) == 0 }

func (a *actor) status(operation int64) weir.PreStatus {
	switch a.chance(operation, "status", 12) {
	case 0:
		return weir.PreComplete
	case 1, 2:
		return weir.PreSkipPost
	case 3:
		return weir.PreSynchronize
	}
	return weir.PreContinue
}

func (a *actor) meet(c weir.Call, what string) int64 {
	p := c.Parameters()
	a.mu.Lock()
	a.late = a.late || a.ended
	a.mu.Unlock()
	a.story.add(p.Offset, event{what, a, p.Name})
	return p.Offset
}

func (a *actor) Pre(_ context.Context, c weir.Call) weir.PreStatus {
	operation := a.meet(c, "pre")
	c.Keep(operation)
	decide := func() weir.PreStatus {
		if a.dirty(operation) {
			c.Parameters().Name += fmt.Sprint("+", a.id)
			c.MarkDirty()
		}
		if a.status(operation) == weir.PreComplete {
			c.Result().Err = errNo
		}
		return a.status(operation)
	}
	if !a.pends(operation) {
		return decide()
	}
	a.resumes.Go(func() { _ = c.ResumePre(decide()) })
	return weir.PrePend
}

func (a *actor) Post(_ context.Context, c weir.Call) weir.PostStatus {
	if c.Draining() {
		a.meet(c, "drain")
		return weir.PostFinished
	}
	operation := a.meet(c, "post")
	if kept := c.Kept(); kept != nil && kept != operation {
		c.Result().Err = fmt.Errorf("operation %d finds %v", operation, kept)
	}
	c.Result().N++
	if a.pends(operation) {
		a.resumes.Go(func() { _ = c.ResumePost() })
		return weir.PostPend
	}
	return weir.PostFinished
}

func (a *actor) Completed([]weir.Operation) {}
func (a *actor) Lost(string)                {}
func (a *actor) Changed()                   {}
func (a *actor) Teardown(context.Context, weir.TeardownReason) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
}

// model runs operations through a rig.
type model struct {
	*rig
	story  story
	seed   uint32
	actors []*actor // all that ever were
	there  []*actor
}

func (m *model) attach(altitude int, k kind) {
	if slices.ContainsFunc(m.there, func(a *actor) bool { return a.altitude == altitude }) {
		return
	}
	a := &actor{id: len(m.actors), altitude: altitude, kind: k, seed: m.seed, story: &m.story}
	m.actors, m.there = append(m.actors, a), append(m.there, a)
	a.in = m.instance(fmt.Sprint(altitude), k.before, k.after, a)
}

func (m *model) detach(i int) {
	a := m.there[i]
	m.there = slices.Delete(m.there, i, i+1)
	m.end(a.in, patient())
}

// run does one operation. Every third hangs on the volume until goOn is closed.
func (m *model) run(operation int64, goOn <-chan struct{}) weir.Result {
	p := creation()
	p.Offset = operation
	result := m.Do(context.Background(), p, lower(func(_ context.Context, p *weir.Parameters) weir.Result {
		m.story.add(operation, event{"volume", nil, p.Name})
		if operation%3 == 0 {
			<-goOn
		}
		return weir.Result{N: 100}
	}))
	if p.Name != "a" {
		result.Err = fmt.Errorf("the caller's parameters were changed: %+v", p)
	}
	return result
}

func TestModelOfOperations(t *testing.T) {
	kinds := []kind{{create, create}, {create, create}, {create, 0}, {0, create}, {weir.OpDelete, weir.OpDelete}}
	rapid.Check(t, func(t *rapid.T) {
		m := &model{rig: newRig(), seed: rapid.Uint32().Draw(t, "seed"), story: story{events: map[int64][]event{}}}
		for range rapid.IntRange(0, 5).Draw(t, "instances") {
			m.attach(rapid.IntRange(1, 20).Draw(t, "altitude"), rapid.SampledFrom(kinds).Draw(t, "kind"))
		}
		operations := rapid.IntRange(1, 20).Draw(t, "operations")
		results, goOn := make([]weir.Result, operations), make(chan struct{})
		var wg sync.WaitGroup
		for i := range operations {
			wg.Go(func() { results[i] = m.run(int64(i), goOn) })
		}
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			if i := rapid.IntRange(-3, 4).Draw(t, "step"); i >= 0 && i < len(m.there) {
				m.detach(i)
			} else if i < 0 {
				m.attach(rapid.IntRange(1, 20).Draw(t, "altitude"), rapid.SampledFrom(kinds).Draw(t, "kind"))
			}
		}
		close(goOn)
		wg.Wait()
		for i, result := range results {
			if fault := m.check(int64(i), result); fault != "" {
				t.Fatalf("operation %d: %s; result %+v; events %s", i, fault, result, m.tell(int64(i)))
			}
		}
		for _, a := range m.actors {
			a.resumes.Wait()
			s := a.in.Stats()
			if a.late || s.Inside != 0 || s.Owed != s.Posts+s.Drained || s.Failures != 0 {
				t.Fatalf("instance %d: late %v, stats %+v", a.id, a.late, s)
			}
		}
	})
}

func (m *model) tell(operation int64) string {
	var lines []string
	for _, e := range m.story.events[operation] {
		if e.a == nil {
			lines = append(lines, fmt.Sprintf("%s %s", e.what, e.name))
		} else {
			lines = append(lines, fmt.Sprintf("%s %d@%d %s", e.what, e.a.id, e.a.altitude, e.name))
		}
	}
	return strings.Join(lines, ", ")
}

// check goes through an operation's story as it must have been, and returns what was otherwise.
func (m *model) check(operation int64, result weir.Result) string {
	events := m.story.events[operation]
	drained := map[*actor]event{}
	var way []event // without what came on other goroutines
	for _, e := range events {
		if e.what != "drain" {
			way = append(way, e)
		} else if _, twice := drained[e.a]; twice {
			return "drained twice"
		} else {
			drained[e.a] = e
		}
	}
	name, height, completed := "a", 1000, false
	var owed []event // by those whose Pre has asked for it
	for len(way) > 0 && way[0].what == "pre" {
		e := way[0]
		way = way[1:]
		switch {
		case completed:
			return "it went on after it was completed"
		case e.a.altitude >= height:
			return "Pre is not called from high to low"
		case e.name != name:
			return fmt.Sprintf("instance %d has seen %s in Pre instead of %s", e.a.id, e.name, name)
		}
		height = e.a.altitude
		status := e.a.status(operation)
		completed = status == weir.PreComplete
		if (status == weir.PreContinue || status == weir.PreSynchronize) && e.a.kind.after != 0 {
			owed = append(owed, e)
		}
		if e.a.dirty(operation) && !completed {
			name += fmt.Sprint("+", e.a.id)
		}
	}
	if carriedOut := len(way) > 0 && way[0].what == "volume"; carriedOut == completed {
		return fmt.Sprintf("completed %v, carried out %v", completed, carriedOut)
	} else if carriedOut {
		if way[0].name != name {
			return fmt.Sprintf("the volume has seen %s instead of %s", way[0].name, name)
		}
		way = way[1:]
	}
	height = 0
	for _, e := range way {
		if e.what != "post" || e.a.altitude <= height {
			return "Post is not called from low to high"
		}
		height = e.a.altitude
	}
	n := int64(len(way))
	if !completed {
		n += 100
	}
	if result.N != n || (result.Err != nil) != completed {
		return fmt.Sprintf("the result is not that of %d posts", len(way))
	}
	return m.checkPosts(operation, owed, way, drained)
}

// checkPosts checks that each instance that was to have its Post has had it once, with the parameters of its Pre.
func (m *model) checkPosts(operation int64, owed, posts []event, drained map[*actor]event) string {
	for _, pre := range owed {
		i := slices.IndexFunc(posts, func(e event) bool { return e.a == pre.a })
		post, early := drained[pre.a]
		if early == (i >= 0) {
			return fmt.Sprintf("instance %d: drained %v, and post %v", pre.a.id, early, i >= 0)
		}
		if i >= 0 {
			post = posts[i]
			posts = slices.Delete(slices.Clone(posts), i, i+1)
		}
		delete(drained, pre.a)
		if post.name != pre.name {
			return fmt.Sprintf("instance %d has seen %s in Pre and %s in Post", pre.a.id, pre.name, post.name)
		}
	}
	for _, e := range append(posts, slices.Collect(maps.Values(drained))...) {
		if e.a.kind.before != 0 {
			return fmt.Sprintf("instance %d has a Post that it has not asked for", e.a.id)
		}
		want := "a"
		for _, pre := range m.story.events[operation] {
			if pre.what == "pre" && pre.a.altitude > e.a.altitude && pre.a.dirty(operation) {
				want += fmt.Sprint("+", pre.a.id)
			}
		}
		if e.name != want {
			return fmt.Sprintf("instance %d has seen %s in Post instead of %s", e.a.id, e.name, want)
		}
	}
	return ""
}
