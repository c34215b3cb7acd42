package verify_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/verify"
	"github.com/weirfs/weir/weirtest"
)

// on returns a filter that passes all but operations of one kind to pre.
func on(op weir.Ops, pre func(m *instance, ctx context.Context, c weir.Call) weir.PreStatus) *model {
	return &model{before: op, after: op, pre: pre}
}

// before is on without the way back.
func before(op weir.Ops, pre func(m *instance, ctx context.Context, c weir.Call) weir.PreStatus) *model {
	return &model{before: op, pre: pre}
}

// after returns a filter that has a Post for one kind.
func after(op weir.Ops, post func(m *instance, ctx context.Context, c weir.Call) weir.PostStatus) *model {
	return &model{before: op, after: op, post: post}
}

// returns is a Pre that returns a status.
func returns(status weir.PreStatus) func(*instance, context.Context, weir.Call) weir.PreStatus {
	return func(*instance, context.Context, weir.Call) weir.PreStatus { return status }
}

// does is a Pre that does something, and lets the operation go on.
func does(what func(c weir.Call)) func(*instance, context.Context, weir.Call) weir.PreStatus {
	return func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
		what(c)
		return weir.PreContinue
	}
}

// completes is a Pre that sets a result.
func completes(r weir.Result) func(*instance, context.Context, weir.Call) weir.PreStatus {
	return func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
		*c.Result() = r
		return weir.PreComplete
	}
}

// resumes is a Pre that pends, and has something done with the call a moment later.
func resumes(with func(c weir.Call)) func(*instance, context.Context, weir.Call) weir.PreStatus {
	return func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
		time.AfterFunc(time.Millisecond, func() { with(c) })
		return weir.PrePend
	}
}

// finishes is a Post that does something.
func finishes(what func(m *instance, c weir.Call)) func(*instance, context.Context, weir.Call) weir.PostStatus {
	return func(m *instance, _ context.Context, c weir.Call) weir.PostStatus {
		what(m, c)
		return weir.PostFinished
	}
}

func goOn(c weir.Call) { _ = c.ResumePre(weir.PreContinue) }

var (
	errNo  = errors.New("no")
	onSelf = weir.ContextKey{Kind: weir.ContextInstance}
)

func statusScenes() []scene {
	return []scene{
		{rule: "pre-status", bad: on(weir.OpCreate, returns(77)), good: on(weir.OpCreate, returns(weir.PreContinue))},
		{rule: "pre-status", name: "resumed", bad: on(weir.OpCreate, resumes(func(c weir.Call) { _ = c.ResumePre(weir.PrePend); goOn(c) })), good: on(weir.OpCreate, resumes(goOn))},
		{rule: "post-status",
			bad:  after(weir.OpCreate, func(*instance, context.Context, weir.Call) weir.PostStatus { return 9 }),
			good: after(weir.OpCreate, nil)},
		{rule: "no-post", bad: before(weir.OpCreate, returns(weir.PreSynchronize)), good: on(weir.OpCreate, returns(weir.PreSynchronize))},
		{rule: "kept-unseen", bad: before(weir.OpCreate, does(func(c weir.Call) { c.Keep(1) })), good: on(weir.OpCreate, does(func(c weir.Call) { c.Keep(1) }))},
		{rule: "no-result", bad: before(weir.OpCreate, completes(weir.Result{})), good: before(weir.OpCreate, completes(weir.Result{Err: errNo}))},
		{rule: "no-result", name: "open", bad: before(weir.OpOpen, completes(weir.Result{})), good: before(weir.OpOpen, completes(weir.Result{Err: errNo}))},
		{rule: "no-result", name: "write", bad: before(weir.OpModify, completes(weir.Result{})), good: before(weir.OpModify, completes(weir.Result{N: 7}))},
		{rule: "failed-close", bad: before(weir.OpClose, completes(weir.Result{Err: errNo})), good: before(weir.OpClose, completes(weir.Result{}))},
		{rule: "lost-result", bad: before(weir.OpCreate, does(func(c weir.Call) { c.Result().Err = errNo })), good: before(weir.OpCreate, does(func(c weir.Call) { _ = c.Result().Err }))},
	}
}

func changeScenes() []scene {
	return []scene{
		{rule: "not-marked",
			bad:  before(weir.OpCreate, does(func(c weir.Call) { c.Parameters().Mode = 0o600 })),
			good: before(weir.OpCreate, does(func(c weir.Call) { c.Parameters().Mode = 0o600; c.MarkDirty() }))},
		{rule: "immutable",
			bad:  before(weir.OpCreate, does(func(c weir.Call) { c.Parameters().PID = 99; c.MarkDirty() })),
			good: before(weir.OpCreate, does(func(c weir.Call) { c.Parameters().Name += "x"; c.MarkDirty() }))},
		{rule: "changed-in-post",
			bad:  after(weir.OpCreate, finishes(func(_ *instance, c weir.Call) { c.Parameters().Name = "x" })),
			good: after(weir.OpAccess, finishes(func(_ *instance, c weir.Call) { c.Result().N = 0 }))},
		{rule: "retarget", bad: before(weir.OpCreate, sendsTo(99)), good: before(weir.OpCreate, sendsTo(2)),
			do: func(w *weirtest.World, v *memory.Volume) { w.Mount("/another"); usual(w, v) }},
		{rule: "data-in-place",
			bad:  before(weir.OpModify, does(func(c weir.Call) { c.Parameters().Data[0] ^= 1; c.MarkDirty() })),
			good: before(weir.OpModify, does(func(c weir.Call) { c.Parameters().Data = []byte("changed"); c.MarkDirty() }))},
	}
}

// sendsTo is a Pre that has the operation go on on another volume.
func sendsTo(volume weir.VolumeID) func(*instance, context.Context, weir.Call) weir.PreStatus {
	return does(func(c weir.Call) { c.Parameters().Volume = volume; c.MarkDirty() })
}

func pendScenes() []scene {
	var kept weir.Call
	keep := func(c weir.Call) { kept = c }
	late := func(use func()) func(w *weirtest.World, v *memory.Volume) {
		return func(w *weirtest.World, v *memory.Volume) { usual(w, v); use() }
	}
	return []scene{
		{rule: "never-resumed", name: "in time",
			bad: on(weir.OpCreate, func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
				time.AfterFunc(time.Minute, func() { goOn(c) })
				return weir.PrePend
			}),
			good: on(weir.OpCreate, func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
				time.AfterFunc(20*time.Second, func() { goOn(c) })
				return weir.PrePend
			})},
		{rule: "never-resumed", name: "when the instance ends",
			bad: on(weir.OpCreate, returns(weir.PrePend)),
			good: &model{before: weir.OpCreate, pre: func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus { keep(c); return weir.PrePend },
				start: func(*instance) { goOn(kept) }},
			do: func(w *weirtest.World, v *memory.Volume) { w.Begin(func() error { return v.Create("a") }) }},
		{rule: "never-resumed", name: "when the program gives up",
			bad: on(weir.OpCreate, func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
				time.AfterFunc(10*time.Second, func() { goOn(c) })
				return weir.PrePend
			}),
			good: on(weir.OpCreate, func(_ *instance, ctx context.Context, c weir.Call) weir.PreStatus {
				context.AfterFunc(ctx, func() { goOn(c) })
				return weir.PrePend
			}),
			do: func(w *weirtest.World, v *memory.Volume) {
				root, err := v.Handle("")
				w.Must(err)
				ctx, cancel := context.WithCancel(context.Background())
				p := w.Begin(func() error { return v.Do(ctx, &weir.Parameters{Op: weir.OpCreate, Dir: root, Name: "a"}).Err })
				cancel()
				_ = p.Wait()
			}},
		{rule: "not-pended", bad: on(weir.OpCreate, does(goOn)), good: on(weir.OpCreate, func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus { goOn(c); return weir.PrePend })},
		{rule: "not-pended", name: "post", bad: after(weir.OpCreate, finishes(func(_ *instance, c weir.Call) { _ = c.ResumePost() })),
			good: after(weir.OpCreate, func(_ *instance, _ context.Context, c weir.Call) weir.PostStatus {
				if c.Draining() {
					return weir.PostFinished
				}
				time.AfterFunc(time.Second, func() { _ = c.ResumePost() })
				return weir.PostPend
			})},
		{rule: "double-resume", bad: on(weir.OpCreate, resumes(func(c weir.Call) { goOn(c); goOn(c) })), good: on(weir.OpCreate, resumes(goOn))},
		{rule: "double-resume", name: "when it has gone on",
			bad: on(weir.OpCreate, func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
				keep(c)
				goOn(c)
				return weir.PrePend
			}),
			good: on(weir.OpCreate, does(func(weir.Call) { kept = nil })),
			do: late(func() {
				if kept != nil {
					goOn(kept)
				}
			})},
		{rule: "double-resume", name: "in Post", good: &model{before: weir.OpCreate, after: weir.OpCreate, pre: resumes(goOn)},
			bad: &model{before: weir.OpCreate, after: weir.OpCreate,
				pre: func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus {
					keep(c)
					goOn(c)
					return weir.PrePend
				},
				post: finishes(func(*instance, weir.Call) { goOn(kept) })}},
		{rule: "late-resume",
			bad: &model{before: weir.OpCreate, pre: func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus { keep(c); return weir.PrePend },
				teardown: func(*instance) { goOn(kept) }},
			good: &model{before: weir.OpCreate, pre: func(_ *instance, _ context.Context, c weir.Call) weir.PreStatus { keep(c); return weir.PrePend },
				start: func(*instance) { goOn(kept) }},
			do: func(w *weirtest.World, v *memory.Volume) { w.Begin(func() error { return v.Create("a") }) }},
		{rule: "use-after-end", bad: on(weir.OpCreate, does(keep)), good: on(weir.OpCreate, does(func(weir.Call) { kept = nil })),
			do: late(func() {
				if kept != nil {
					_, _ = kept.Parameters(), kept.Result()
				}
			})},
	}
}

// underload does what is needed for a draining Post.
func underload(w *weirtest.World, v *memory.Volume) {
	goOn := make(chan struct{})
	v.Obstruct(func(context.Context, *weir.Parameters) error { <-goOn; return nil })
	create := w.Begin(func() error { return v.Create("a") })
	w.Must(w.Detach("model", "", v))
	close(goOn)
	_ = create.Wait()
}

func drainingScenes() []scene {
	return []scene{
		{rule: "pend-draining", do: underload,
			bad:  after(weir.OpCreate, func(*instance, context.Context, weir.Call) weir.PostStatus { return weir.PostPend }),
			good: after(weir.OpCreate, nil)},
		{rule: "changed-draining", do: underload,
			bad:  after(weir.OpCreate, finishes(func(_ *instance, c weir.Call) { c.Result().Err = nil })),
			good: after(weir.OpCreate, finishes(func(_ *instance, c weir.Call) { _, _ = c.Kept(), c.Parameters() }))},
	}
}

func referenceScenes() []scene {
	set := func(m *instance) weir.Context {
		c, _, err := m.site.Host.SetContext(onSelf, 1, weir.KeepExisting)
		if err != nil {
			panic(err)
		}
		return c
	}
	observes := func(do func(m *instance)) *model { return &model{wants: weir.OpCreate, completed: do} }
	return []scene{
		{rule: "leaked-hold", bad: observes(func(m *instance) { _, _ = m.site.Host.Hold("copy") }),
			good: observes(func(m *instance) {
				if release, err := m.site.Host.Hold("copy"); err == nil {
					time.AfterFunc(time.Second, release)
				}
			})},
		{rule: "leaked-context", bad: observes(func(m *instance) { set(m) }), good: observes(func(m *instance) { set(m).Release() })},
		{rule: "leaked-context", name: "got", good: observes(func(m *instance) { set(m).Release() }),
			bad: observes(func(m *instance) { set(m).Release(); _, _ = m.site.Host.Context(onSelf) })},
		{rule: "leaked-lease", bad: observes(func(m *instance) { borrow(m.site.Volume) }), good: observes(func(m *instance) { _ = borrow(m.site.Volume).Close() })},
		{rule: "leaked-lease", name: "of Concerns", bad: concerned(func(v weir.Volume) { borrow(v) }), good: concerned(func(v weir.Volume) { _ = borrow(v).Close() })},
		{rule: "over-release", bad: observes(func(m *instance) { c := set(m); c.Release(); c.Release() }), good: observes(func(m *instance) { set(m).Release(); set(m).Release() })},
		{rule: "use-after-release", bad: observes(func(m *instance) { c := set(m); c.Release(); c.Value() }), good: observes(func(m *instance) { c := set(m); c.Value(); c.Release() })},
		{rule: "use-after-teardown", do: func(w *weirtest.World, _ *memory.Volume) { w.Must(w.Unload("model")); time.Sleep(time.Hour) },
			bad:  &model{teardown: func(m *instance) { time.AfterFunc(time.Minute, func() { m.site.Host.DropContext(onSelf) }) }},
			good: &model{teardown: func(m *instance) { m.site.Host.DropContext(onSelf) }}},
		{rule: "use-after-teardown", name: "to hold", do: func(w *weirtest.World, _ *memory.Volume) { w.Must(w.Unload("model")); time.Sleep(time.Hour) },
			bad:  &model{teardown: func(m *instance) { time.AfterFunc(time.Minute, func() { _, _ = m.site.Host.Hold("late") }) }},
			good: &model{teardown: func(m *instance) { _, _ = m.site.Host.Hold("late") }}},
		{rule: "use-after-teardown", name: "of the volume", do: func(w *weirtest.World, _ *memory.Volume) { w.Must(w.Unload("model")); time.Sleep(time.Hour) },
			bad:  &model{teardown: func(m *instance) { time.AfterFunc(time.Minute, func() { _ = borrow(m.site.Volume).Close() }) }},
			good: &model{teardown: func(m *instance) { _ = borrow(m.site.Volume).Close() }}},
		{rule: "context-kind", bad: observes(func(m *instance) { m.site.Host.DropContext(weir.ContextKey{Kind: weir.ContextVolume}) }), good: observes(func(m *instance) { m.site.Host.DropContext(onSelf) })},
		{rule: "context-kind", name: "no object", bad: observes(func(m *instance) { m.site.Host.DropContext(weir.ContextKey{Kind: weir.ContextFile}) }),
			good: observes(func(m *instance) { m.site.Host.DropContext(weir.ContextKey{Kind: weir.ContextFile, File: "x"}) })},
	}
}

func borrow(v weir.Volume) weir.Lease {
	lease, err := v.Borrow(context.Background(), "")
	if err != nil {
		panic(err)
	}
	return lease
}

// concerned is a filter that looks at volumes before it takes them.
func concerned(look func(weir.Volume)) *model {
	return &model{change: func(f *weir.Filter) {
		f.Concerns = func(_ context.Context, v weir.Volume) error { look(v); return nil }
	}}
}

// issues is a Pre that makes another file, with the given way to do so.
func issues(do func(m *instance, ctx context.Context, p *weir.Parameters)) *model {
	return before(weir.OpCreate, func(m *instance, ctx context.Context, c weir.Call) weir.PreStatus {
		p := *c.Parameters()
		if p.Name == "a" {
			p.Name = "b"
			do(m, ctx, &p)
		}
		return weir.PreContinue
	})
}

// keptOperations are what a filter has kept.
type keptOperations struct{ slice []weir.Operation }

func observerScenes() []scene {
	var kept keptOperations
	keeps := func(how func([]weir.Operation) []weir.Operation) *model {
		return &model{wants: weir.Changes, operations: func(_ *instance, ops []weir.Operation) { kept.slice = how(ops) }}
	}
	wants := func(do func(want func())) *model {
		return &model{wants: weir.OpCreate, completed: func(m *instance) {
			do(func() { _ = m.site.Host.Want(context.Background(), weir.Changes) })
		}}
	}
	scans := func(at func() time.Time) *model {
		return &model{wants: weir.OpCreate, change: func(f *weir.Filter) { f.Scans = true },
			completed: func(m *instance) { _ = m.site.Host.Scanned(at(), "a scan") }}
	}
	misses := func(after time.Duration) *model {
		return &model{wants: weir.OpCreate, completed: func(m *instance) { _ = m.site.Host.Missed(time.Now().Add(after), "why") }}
	}
	return []scene{
		{rule: "kept-slice", bad: keeps(func(ops []weir.Operation) []weir.Operation { return ops }), good: keeps(slices.Clone[[]weir.Operation])},
		{rule: "want-inside", bad: wants(func(want func()) { want() }), good: wants(func(want func()) { go want() })},
		{rule: "want-inside", name: "Pre", good: &model{before: weir.OpCreate, pre: returns(weir.PreContinue)},
			bad: before(weir.OpCreate, func(m *instance, ctx context.Context, _ weir.Call) weir.PreStatus {
				_ = m.site.Host.Want(ctx, weir.Changes)
				return weir.PreContinue
			})},
		{rule: "wrong-time", bad: scans(func() time.Time { return time.Now().Add(time.Hour) }), good: scans(time.Now)},
		{rule: "wrong-time", name: "none", bad: scans(func() time.Time { return time.Time{} }), good: scans(time.Now)},
		{rule: "wrong-time", name: "of what was missed", bad: misses(time.Hour), good: misses(-time.Second)},
	}
}

func timeScenes() []scene {
	var volume *memory.Volume
	create := func(w *weirtest.World, v *memory.Volume) { volume = v; w.Must(v.Create("a")) }
	return []scene{
		{rule: "recursion", do: create,
			bad:  issues(func(_ *instance, ctx context.Context, p *weir.Parameters) { volume.Do(ctx, p) }),
			good: issues(func(m *instance, ctx context.Context, p *weir.Parameters) { _, _ = m.site.Host.Issue(ctx, p) })},
		{rule: "slow-setup",
			bad: &model{change: func(f *weir.Filter) {
				f.Concerns = func(context.Context, weir.Volume) error { time.Sleep(time.Minute); return nil }
			}},
			good: &model{change: func(f *weir.Filter) {
				f.Concerns = func(context.Context, weir.Volume) error { time.Sleep(time.Second); return nil }
			}},
			do: func(*weirtest.World, *memory.Volume) { time.Sleep(2 * time.Minute) }},
		{rule: "slow-setup", name: "of who admits", bad: admitting(time.Minute), good: admitting(time.Millisecond),
			do: func(w *weirtest.World, _ *memory.Volume) {
				_, _ = w.Manager.Connect(context.Background(), "model", weir.Peer{PID: 1})
				time.Sleep(2 * time.Minute)
			}},
		{rule: "slow-callback",
			bad:  &model{wants: weir.OpCreate, completed: func(*instance) { time.Sleep(time.Minute) }},
			good: &model{wants: weir.OpCreate, completed: func(*instance) { time.Sleep(time.Millisecond) }}},
		{rule: "setup-teardown", name: "with an error", good: new(model),
			bad: &model{setup: func(context.Context, weir.Site) (weir.Instance, error) { return new(instance), weir.ErrDecline }}},
		{rule: "setup-teardown", name: "nothing", good: new(model),
			bad: &model{setup: func(context.Context, weir.Site) (weir.Instance, error) { return nil, nil }}},
		{rule: "setup-teardown", name: "one for two", good: new(model), bad: sharing(),
			do: func(w *weirtest.World, _ *memory.Volume) { w.Mount("/another") }},
		{rule: "mandatory-refusal",
			bad: &model{change: func(f *weir.Filter) { f.Unload = func(context.Context, bool) error { return errNo } }},
			good: &model{change: func(f *weir.Filter) {
				f.Unload = func(_ context.Context, mandatory bool) error { return politely(mandatory) }
			}},
			do: func(w *weirtest.World, _ *memory.Volume) { _ = w.Unload("model"); _ = w.ForceUnload("model") }},
		{rule: "altitude-group", good: new(model), bad: &model{change: func(f *weir.Filter) { f.Altitude = weir.MustAltitude("350000") }}},
		{rule: "open-port", bad: connected(time.Minute), good: connected(time.Millisecond),
			do: func(w *weirtest.World, _ *memory.Volume) {
				ctx, cancel := context.WithCancel(context.Background())
				c, err := w.Manager.Connect(ctx, "model", weir.Peer{PID: 1})
				w.Must(err)
				w.Begin(func() error { return c.Talk(nil) })
				cancel()
				time.Sleep(2 * time.Minute)
			}},
	}
}

// admitting is a filter that thinks for a while about who may connect, and then refuses.
func admitting(think time.Duration) *model {
	m := connected(0)
	with := m.change
	m.change = func(f *weir.Filter) {
		with(f)
		f.Admit = func(weir.Peer) error { time.Sleep(think); return errNo }
	}
	return m
}

// connected is a filter whose conversations go on for a while.
func connected(stay time.Duration) *model {
	return &model{change: func(f *weir.Filter) {
		f.Connections = 1
		f.Connect = func(ctx context.Context, _ weir.Peer, _ weir.Port) error {
			<-ctx.Done()
			time.Sleep(stay)
			return nil
		}
	}}
}

func sharing() *model {
	m := new(model)
	one := &instance{model: m}
	m.setup = func(context.Context, weir.Site) (weir.Instance, error) { return one, nil }
	return m
}

func politely(mandatory bool) error {
	if mandatory {
		return nil
	}
	return errNo
}

func TestRules(t *testing.T) {
	tested := []string{"callback-outside", "out-of-order"} // by TestManagerIsWatchedToo and TestOrderIsWatched
	for _, s := range slices.Concat(statusScenes(), changeScenes(), pendScenes(), drainingScenes(), referenceScenes(), observerScenes(), timeScenes()) {
		tested = append(tested, s.rule)
		t.Run(s.rule+" "+s.name, s.run)
	}
	for _, r := range verify.Rules() {
		if r.Says == "" || r.Do == "" || !slices.Contains(tested, r.ID) {
			t.Errorf("rule %s has no test, or does not say what it is", r.ID)
		}
	}
}
