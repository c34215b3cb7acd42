package weirtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/pend"
)

// model is an instance that does as it is told. Nil callbacks do nothing.
type model struct {
	site      weir.Site
	pre       func(m *model, ctx context.Context, c weir.Call) weir.PreStatus
	post      func(m *model, ctx context.Context, c weir.Call) weir.PostStatus
	completed func(m *model)
	lost      func(m *model)
	start     func(m *model)
	teardown  func(m *model)

	operations func(m *model, operations []weir.Operation)
	kept       []weir.Operation
}

func (m *model) Pre(ctx context.Context, c weir.Call) weir.PreStatus {
	if m.pre == nil {
		return weir.PreContinue
	}
	return m.pre(m, ctx, c)
}

func (m *model) Post(ctx context.Context, c weir.Call) weir.PostStatus {
	if m.post == nil {
		return weir.PostFinished
	}
	return m.post(m, ctx, c)
}

func (m *model) call(callback func(*model)) {
	if callback != nil {
		callback(m)
	}
}

func (m *model) Completed(operations []weir.Operation) {
	m.call(m.completed)
	if m.operations != nil {
		m.operations(m, operations)
	}
}

func (m *model) Lost(string)                                   { m.call(m.lost) }
func (m *model) Changed()                                      {}
func (m *model) TeardownStart(weir.TeardownReason)             { m.call(m.start) }
func (m *model) Teardown(context.Context, weir.TeardownReason) { m.call(m.teardown) }

// modelled makes filters of models. with fills in each.
func modelled(with func(m *model)) func() *weir.Filter {
	return func() *weir.Filter {
		return &weir.Filter{
			Name: "model", Altitude: weir.MustAltitude("305000"), Wants: weir.Changes, Before: all, After: all,
			Contexts: []weir.ContextKind{weir.ContextInstance, weir.ContextFile},
			Setup: func(_ context.Context, site weir.Site) (weir.Instance, error) {
				m := &model{site: site}
				if with != nil {
					with(m)
				}
				return m, nil
			},
		}
	}
}

// but changes a filter of models.
func but(change func(f *weir.Filter)) func() *weir.Filter {
	return func() *weir.Filter {
		f := modelled(nil)()
		change(f)
		return f
	}
}

// queueing pends everything for a worker that takes its time.
func queueing(m *model) {
	q, err := pend.New(m.site.Host, 100, pend.Fail)
	if err != nil {
		panic(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := q.Take(context.Background())
			if err != nil {
				return
			}
			time.Sleep(time.Millisecond)
			_ = c.ResumePre(weir.PreContinue)
		}
	}()
	m.pre = func(_ *model, ctx context.Context, c weir.Call) weir.PreStatus { return q.Put(ctx, c) }
	m.start = func(*model) { q.Disable(pend.Fail) }
	m.teardown = func(*model) { <-over }
}

// counting puts contexts on what it sees, and gives them back.
func counting(m *model) {
	m.post = func(m *model, _ context.Context, c weir.Call) weir.PostStatus {
		if c.Draining() || c.Result().Err != nil || c.Result().Object == "" {
			return weir.PostFinished
		}
		key := weir.ContextKey{Kind: weir.ContextFile, File: c.Result().Object}
		if current, _, err := m.site.Host.SetContext(key, new(int), weir.KeepExisting); err == nil {
			current.Release()
		}
		return weir.PostFinished
	}
}

// echo sends back what it receives.
func echo(ctx context.Context, _ weir.Peer, port weir.Port) error {
	for {
		message, err := port.Receive(ctx)
		if err != nil {
			return err
		}
		if err := port.Send(ctx, message); err != nil {
			return err
		}
	}
}

func refusing(m *model) {
	m.pre = func(_ *model, _ context.Context, c weir.Call) weir.PreStatus {
		if c.Parameters().Op != weir.OpDelete {
			return weir.PreContinue
		}
		c.Result().Err = errors.New("not here")
		return weir.PreComplete
	}
}

func twice(f *weir.Filter) {
	f.Altitude = weir.MustAltitude("306000")
	f.Instances = []weir.Definition{
		{Name: "high", Altitude: weir.MustAltitude("306000")}, {Name: "low", Altitude: weir.MustAltitude("304000")},
	}
}

// roomed makes filters that have one room for what happens on a volume, which goes with the first instance that does.
func roomed(single bool) func() *weir.Filter {
	return but(func(f *weir.Filter) {
		var mu sync.Mutex
		rooms := map[weir.VolumeID]*int{}
		f.Wants, f.Before, f.After, f.Single = weir.OpDelete, 0, 0, single
		f.Setup = func(_ context.Context, site weir.Site) (weir.Instance, error) {
			id := site.Volume.ID()
			in := func(do func()) func(*model) {
				return func(*model) {
					mu.Lock()
					defer mu.Unlock()
					do()
				}
			}
			in(func() { rooms[id] = new(int) })(nil)
			return &model{completed: in(func() { *rooms[id]++ }), teardown: in(func() { delete(rooms, id) })}, nil
		}
	})
}

func unwilling(mandatory bool) error {
	if mandatory {
		return nil
	}
	return errors.New("busy")
}
