package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
)

// loan is a filter that is loaded as long as somebody talks to it.
type loan struct{ users int }

// loans are those of a mirror.
type loans struct {
	mu  sync.Mutex // held while a filter comes or goes
	out map[string]*loan
}

// settleTime is how long whoever has a filter loaded waits for its instances; some volumes may not answer. Its end may take
// as long.
const settleTime = 5 * time.Second

// Connect implements control.Engine.
func (c controlled) Connect(ctx context.Context, name string, peer weir.Peer, load bool) (*manager.Conversation, error) {
	l := &c.mirror.loans
	l.mu.Lock()
	defer l.mu.Unlock()
	if load && c.Snapshot().Filter(name) == nil {
		if err := c.lendLocked(ctx, name); err != nil {
			return nil, err
		}
	}
	place, err := c.Manager.Connect(ctx, name, peer)
	lent := l.out[name]
	if lent == nil {
		return place, err
	}
	lent.users++
	if err != nil {
		c.returnLocked(name, lent)
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		c.returnLocked(name, lent)
	})
	return place, nil
}

// lendLocked loads a filter that somebody wants to talk to, and waits for its instances.
func (c controlled) lendLocked(ctx context.Context, name string) error {
	f, err := c.filter(name)
	switch {
	case err != nil:
		return err
	case f.Connect == nil:
		return &weir.Error{Op: "connect to filter", Kind: weir.KindRefused, Path: name, Err: errors.New("it has no port"), Hint: "connect to another filter"}
	}
	if err := c.Start(f); err != nil {
		return err
	}
	if c.mirror.loans.out == nil {
		c.mirror.loans.out = map[string]*loan{}
	}
	c.mirror.loans.out[name] = new(loan)
	bounded, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	_ = c.Wait(bounded, func(s manager.Snapshot) bool { return s.SettledOf(name) }) // Those that are late come later.
	return nil
}

// keepLoaded starts a filter for good, whoever has yet to part from one of that name that was lent, and has been unloaded.
func (c controlled) keepLoaded(f *weir.Filter) error {
	l := &c.mirror.loans
	l.mu.Lock()
	defer l.mu.Unlock()
	err := c.Start(f)
	if err == nil {
		delete(l.out, f.Name)
	}
	return err
}

// returnLocked takes one user from a loan, and the filter back with the last, unless somebody unloads it already.
func (c controlled) returnLocked(name string, lent *loan) {
	lent.users--
	if lent.users > 0 || c.mirror.loans.out[name] != lent {
		return
	}
	delete(c.mirror.loans.out, name)
	if f := c.Snapshot().Filter(name); f == nil || f.Stopping {
		return
	}
	bounded, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	if err := c.Manager.Unload(bounded, name, true, ""); err != nil && weir.KindOf(err) != weir.KindAbsent {
		c.mirror.options.Logger.Warn("a filter does not end that nobody needs any more", "filter", name, "error", err)
	}
}
