package activity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// connections is how many programs may watch at a time.
const connections = 32

// altitude is in the range of the Activity Monitor group, above everything that changes what is done.
func altitude() weir.Altitude { return weir.MustAltitude("370030") }

// Monitor is the filter. It is safe for concurrent use.
type Monitor struct {
	mu        sync.Mutex
	watchers  []*watcher
	instances map[*instance]bool
}

// New returns a monitor that nobody watches.
func New() *Monitor { return &Monitor{instances: map[*instance]bool{}} }

// Filter returns what the manager needs to know.
func (m *Monitor) Filter() *weir.Filter {
	return &weir.Filter{
		Name: Name, Altitude: altitude(), Concerns: concerns, Setup: m.setup, Unload: m.unload,
		Connect: m.connect, Connections: connections,
	}
}

// unload refuses while somebody watches, who would be told of nothing more.
func (m *Monitor) unload(_ context.Context, mandatory bool) error {
	m.mu.Lock()
	watching := len(m.watchers)
	m.mu.Unlock()
	if watching == 0 || mandatory {
		return nil
	}
	return fmt.Errorf("programs watch what it tells, %d of them", watching)
}

func concerns(_ context.Context, v weir.Volume) error {
	if v.Info().Pseudo {
		return fmt.Errorf("%w: what happens on a pseudo file system is not observed", weir.ErrDecline)
	}
	return nil
}

func (m *Monitor) setup(ctx context.Context, site weir.Site) (weir.Instance, error) {
	in := newInstance(m, site)
	m.mu.Lock()
	m.instances[in] = true
	m.mu.Unlock()
	err := in.settle(ctx)
	if err != nil && weir.KindOf(err) != weir.KindUnsupported {
		m.forget(in)
		return nil, err
	}
	if err != nil {
		m.note(in, fmt.Sprintf("%s cannot be watched: %v", in.title(), err))
	} else if site.Reason != weir.SetupManual {
		in.begun(nil)
	}
	go in.run()
	return in, nil
}

func (m *Monitor) forget(in *instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.instances, in)
}

// others tells whether there are other instances on the volume of one.
func (m *Monitor) others(in *instance) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other := range m.instances {
		if other != in && other.volume.ID() == in.volume.ID() {
			return true
		}
	}
	return false
}

// watching returns those who watch an instance's volume.
func (m *Monitor) watching(in *instance) (list []*watcher) {
	m.mu.Lock()
	all := slices.Clone(m.watchers)
	m.mu.Unlock()
	mounts := in.mountsSeen()
	for _, w := range all {
		if w.concerns(in.volume.ID(), mounts) {
			list = append(list, w)
		}
	}
	return list
}

// note tells those who watch a volume what has happened to it.
func (m *Monitor) note(in *instance, text string) {
	for _, w := range m.watching(in) {
		w.note(text)
	}
}

// settleTime bounds how long who comes waits for volumes that do not answer.
const settleTime = 5 * time.Second

// settle has every instance follow who watches, and says of those that w watches whether they do.
func (m *Monitor) settle(ctx context.Context, w *watcher) (now Watching) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	m.mu.Lock()
	var all []*instance
	for in := range m.instances {
		all = append(all, in)
	}
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b *instance) int {
		return cmp.Or(cmp.Compare(a.volume.ID(), b.volume.ID()), cmp.Compare(a.name, b.name))
	})
	errs := make([]error, len(all))
	var working sync.WaitGroup
	for i, in := range all {
		working.Go(func() { errs[i] = in.settle(ctx) })
	}
	working.Wait()
	now.Volumes = []weir.VolumeID{}
	for i, in := range all {
		switch {
		case !w.concerns(in.volume.ID(), in.mountsSeen()):
		case errs[i] != nil:
			now.Unwatched = append(now.Unwatched, Unwatched{in.volume.ID(), errs[i].Error()})
		case !slices.Contains(now.Volumes, in.volume.ID()): // another instance may be on it as well
			now.Volumes = append(now.Volumes, in.volume.ID())
		}
	}
	return now
}

// join and leave change who watches.
func (m *Monitor) join(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers = append(m.watchers, w)
}

func (m *Monitor) leave(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers = slices.DeleteFunc(m.watchers, func(other *watcher) bool { return other == w })
}
