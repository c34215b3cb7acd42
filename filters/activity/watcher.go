package activity

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

const (
	// room is how many events may wait for a program.
	room = 1 << 14

	// portion bounds the events of one message, in bytes, generously counted.
	portion = weir.MaxMessage / 2

	// manyNotes bounds the notes that wait.
	manyNotes = 100
)

// watcher is a program that watches.
type watcher struct {
	request Request
	path    string // of the request, as it is
	self    int    // the program itself, which would else tell of what it tells
	since   time.Time
	wake    chan struct{}

	mu     sync.Mutex
	events []Event
	counts counts
	told   counts // of counts
	notes  []string
	end    string
}

// counts are of operations that are not told.
type counts struct{ dropped, undecided uint64 }

func newWatcher(r Request, peer weir.Peer) *watcher {
	return &watcher{request: r, path: weir.UnquotePath(r.Path), self: peer.PID, since: time.Now(), wake: make(chan struct{}, 1)}
}

// wants returns what the planes are to deliver.
func (w *watcher) wants() weir.Ops {
	if w.request.Reads {
		return weir.Changes | weir.OpOpen | weir.OpAccess
	}
	return weir.Changes
}

// concerns tells whether a volume is watched.
func (w *watcher) concerns(id weir.VolumeID, mounts []weir.Mount) bool {
	switch {
	case w.path == "" && w.request.Volume == 0, w.request.Volume == id:
		return true
	case w.path == "":
		return false
	}
	return slices.ContainsFunc(mounts, func(m weir.Mount) bool { return m.Own && covers(w.path, m.Point) })
}

// covers tells whether a path is another one or below it.
func covers(dir, p string) bool {
	return dir == p || dir == "/" && strings.HasPrefix(p, "/") || strings.HasPrefix(p, dir+"/")
}

// wantsOf tells whether the program may want to know of an operation, as far as that shows without names.
func (w *watcher) wantsOf(op weir.Operation) bool {
	ops := op.Ops & w.wants()
	return ops != 0 && (w.request.Ops == 0 || ops&w.request.Ops != 0) && (w.request.PID == 0 || w.request.PID == op.PID) &&
		(op.PID == 0 || op.PID != w.self)
}

// commSize is how much of the name of a process the kernel keeps.
const commSize = 15

func (w *watcher) wantsProcess(name string) bool {
	want := w.request.Process
	return want == "" || want == name || len(want) > commSize && want[:commSize] == name
}

// tell tells an operation, if the program wants to know of it.
func (w *watcher) tell(h happening, n named, mounts []weir.Mount, in *instance) {
	op, volume := h.op, in.volume.ID()
	wanted := w.wantsProcess(n.process)
	if h.at.Before(w.since) || !w.wantsOf(op) || !wanted && !n.nameless {
		return
	}
	p, here := w.shown(n.path, mounts, volume)
	to, there := "", false
	if n.to != "" {
		to, there = w.shown(n.to, mounts, volume)
	}
	if !here && !there {
		return
	}
	if !wanted {
		w.change(func() { w.counts.undecided++ })
		return
	}
	e := Event{Time: h.at, Ops: op.Ops & w.wants(), PID: op.PID, Process: weir.QuotePath(n.process), Path: weir.QuotePath(p), Dir: op.IsDir, Volume: volume, Instance: in.name}
	if n.to != "" {
		e.To = weir.QuotePath(to)
	}
	w.add(e)
}

// shown returns how the program knows a place on a volume, and whether it wants to know of it.
func (w *watcher) shown(p place, mounts []weir.Mount, volume weir.VolumeID) (name string, wanted bool) {
	if !p.known() {
		below := slices.ContainsFunc(mounts, func(m weir.Mount) bool { return m.Own && covers(w.path, m.Point) })
		return string(p), w.path == "" || below
	}
	for _, m := range mounts {
		if !m.Own || m.Point == "" || !covers(m.Root, string(p)) {
			continue
		}
		at := path.Join(m.Point, strings.TrimPrefix(string(p), m.Root))
		if w.path == "" || covers(w.path, at) {
			return at, true
		}
		if name == "" {
			name = at
		}
	}
	if name == "" {
		name = fmt.Sprintf("<volume %d>%s", volume, p)
	}
	return name, w.path == ""
}

func (w *watcher) add(e Event) {
	w.change(func() {
		if len(w.events) < room {
			w.events = append(w.events, e)
		} else {
			w.counts.dropped++
		}
	})
}

// drop counts operations that nobody has looked at.
func (w *watcher) drop(n uint64) {
	if n > 0 {
		w.change(func() { w.counts.dropped += n })
	}
}

func (w *watcher) note(text string) {
	w.change(func() {
		if len(w.notes) < manyNotes && !slices.Contains(w.notes, text) {
			w.notes = append(w.notes, text)
		}
	})
}

// lose says that a volume is not watched any more, which is the end if it is the only one that was asked for.
func (w *watcher) lose(volume weir.VolumeID, why string) {
	if w.path == "" && w.request.Volume == volume {
		w.change(func() { w.end = why })
		return
	}
	w.note(why)
}

func (w *watcher) change(what func()) {
	w.mu.Lock()
	what()
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// next takes what fits into a message; more tells whether there is something left.
func (w *watcher) next() (m Message, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for ; n < len(w.events) && size < portion; n++ {
		e := w.events[n]
		size += 2*(len(e.Path)+len(e.To)+len(e.Process)) + 256
	}
	m.Events, m.Notes = slices.Clone(w.events[:n]), w.notes
	if w.events = slices.Delete(w.events, 0, n); len(w.events) == 0 {
		w.events, m.End = nil, w.end
	}
	w.notes = nil
	if w.counts != w.told {
		w.told, m.Dropped, m.Undecided = w.counts, w.counts.dropped, w.counts.undecided
	}
	return m, len(w.events) > 0
}

const (
	// askTime is how long a program may take to say what it wants.
	askTime = 10 * time.Second

	// endTime is how long it may take to hear why it is over.
	endTime = 500 * time.Millisecond
)

// connect implements weir.Filter.Connect.
func (m *Monitor) connect(ctx context.Context, peer weir.Peer, port weir.Port) error {
	r, err := ask(ctx, port)
	if err != nil {
		return err
	}
	talking, hangUp := context.WithCancel(ctx)
	defer hangUp()
	go func() {
		_, _ = port.Receive(talking) // There is nothing more to be said: it is the end.
		hangUp()
	}()
	w := newWatcher(r, peer)
	m.join(w)
	defer func() {
		m.leave(w)
		if ctx.Err() == nil {
			m.settle(ctx, w)
		}
	}()
	now := m.settle(talking, w)
	if err := send(talking, port, Message{Watching: &now}); err != nil {
		return last(ctx, port)
	}
	return w.serve(ctx, talking, port)
}

// ask reads what a program wants.
func ask(ctx context.Context, port weir.Port) (r Request, err error) {
	bounded, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	text, err := port.Receive(bounded)
	if err != nil {
		return r, err
	}
	if err := r.read(text); err != nil {
		refused := &weir.Error{Op: "watch", Kind: weir.KindRefused, Err: fmt.Errorf("the request is not understood: %w", err), Hint: requestHint}
		_ = send(bounded, port, Message{End: refused.Error(), Kind: weir.KindRefused})
		return r, refused
	}
	return r, nil
}

// serve sends what comes, until the end.
func (w *watcher) serve(ctx, talking context.Context, port weir.Port) error {
	for {
		select {
		case <-w.wake:
		case <-talking.Done():
			return last(ctx, port)
		}
		for more := true; more; {
			var m Message
			if m, more = w.next(); m.empty() {
				break
			}
			if err := send(talking, port, m); err != nil {
				return last(ctx, port)
			}
			if m.End != "" {
				return nil
			}
		}
	}
}

func (m Message) empty() bool {
	return len(m.Events) == 0 && m.Dropped == 0 && m.Undecided == 0 && len(m.Notes) == 0 && m.End == ""
}

func send(ctx context.Context, port weir.Port, m Message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return port.Send(ctx, text)
}

// last says goodbye, unless it is the program that has gone.
func last(ctx context.Context, port weir.Port) error {
	if ctx.Err() == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	return send(bounded, port, Message{End: "the monitor is being unloaded", Kind: weir.KindAbsent})
}
