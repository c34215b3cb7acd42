package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/filters/replicate"
)

// presenter shows how a mirror stands: one live view on a terminal, a line for each change of phase
// elsewhere, JSON objects where they were asked for.
type presenter struct {
	m      *daemon.Mirror
	out    io.Writer
	log    *slog.Logger
	json   bool
	once   bool
	screen *screen // nil without a live view
	stop   chan struct{}
	wg     sync.WaitGroup

	replicas []*shown        // in the order of the status, which only grows
	told     map[string]bool // targets of which it was told what they cannot store
	meter    meter
}

// shown is what was told of a replica last.
type shown struct {
	place    string // a place moves when a directory above its mount point is renamed
	phase    replicate.Phase
	absence  string    // why the source is absent, as it was told with that phase
	problems int       // as they were told with the phase
	settled  bool      // it has been in sync
	pending  time.Time // since when it copies, or waits at the start, without a word; zero if it does not
}

func newPresenter(f *mirrorFlags, m *daemon.Mirror, log *slog.Logger) *presenter {
	return &presenter{
		m: m, out: f.out, log: log, json: f.json, once: f.once, screen: f.screen, stop: make(chan struct{}),
		told: make(map[string]bool),
	}
}

func (p *presenter) start() {
	p.wg.Go(func() {
		for {
			s := p.m.Status()
			p.show(s)
			select {
			case <-p.stop:
				return
			case <-time.After(pace(s)):
			}
		}
	})
}

// pace is how long a status is good for: the view of a mirror that works moves, that of one at rest need not
// cost anything.
func pace(s replicate.Status) time.Duration {
	for _, u := range s.Units {
		if u.Phase != replicate.PhaseInSync {
			return 200 * time.Millisecond
		}
	}
	return time.Second
}

// show tells what has changed since the last time.
func (p *presenter) show(s replicate.Status) {
	now := time.Now()
	for _, t := range s.Targets {
		if p.json && len(t.Missing) > 0 && !p.told[t.Path] {
			p.told[t.Path] = true
			event(p.out, "target", map[string]any{"target": weir.QuotePath(t.Path), "missing": t.Missing})
		}
	}
	for i, u := range s.Units {
		if i == len(p.replicas) {
			p.replicas = append(p.replicas, &shown{place: u.Place})
		}
		r := p.replicas[i]
		if r.place != u.Place {
			p.gone(r.place, u.Target, s.Units)
			*r = shown{place: u.Place, settled: r.settled}
		}
		if r.news(u, now) {
			p.tell(u)
		}
	}
	if p.screen != nil {
		columns := p.screen.columns()
		p.screen.draw(view(s, p.meter.rate(now, s.Read), columns), columns)
	}
}

// patience is how long a replica that was in sync may copy without a word: a change every second is no news. Something
// that has waited for longer than lateness is.
const (
	patience = 10 * time.Second
	lateness = 2 * time.Second
)

// gone tells that there is no such place any more, unless another one has moved there.
func (p *presenter) gone(place, target string, now []replicate.UnitStatus) {
	for _, u := range now {
		if u.Place == place && u.Target == target {
			return
		}
	}
	switch {
	case p.json:
		event(p.out, "gone", map[string]any{"place": weir.QuotePath(place), "target": weir.QuotePath(target)})
	case p.screen == nil:
		p.log.Info("gone: the place has moved", "place", weir.LogPath(place), "target", weir.LogPath(target))
	}
}

// news reports whether a phase has to be told: another one, one at rest in which there are more problems, or fewer, or that the
// source is absent in another way.
func (r *shown) news(u replicate.UnitStatus, now time.Time) bool {
	if u.Phase == replicate.PhaseWaiting && r.phase == "" {
		if r.pending.IsZero() {
			r.pending = now
		}
		if now.Sub(r.pending) < lateness {
			return false // Each start begins with a moment in which the volumes are listed.
		}
	}
	if u.Phase == replicate.PhaseCopying && r.settled && r.phase == replicate.PhaseInSync {
		if r.pending.IsZero() {
			r.pending = now
		}
		late := !u.Since.IsZero() && now.Sub(u.Since) >= lateness
		if !late && now.Sub(r.pending) < patience {
			return false
		}
	}
	r.pending = time.Time{}
	absence := ""
	if u.Phase == replicate.PhaseSourceAbsent {
		absence = u.Reason
	}
	if r.phase == u.Phase && r.absence == absence && (r.problems == u.Problems || u.Phase != replicate.PhaseInSync) {
		return false
	}
	r.absence = absence
	r.phase, r.problems, r.settled = u.Phase, u.Problems, r.settled || u.Phase == replicate.PhaseInSync
	return true
}

func (p *presenter) tell(u replicate.UnitStatus) {
	switch {
	case p.json:
		event(p.out, "phase", map[string]any{"replica": quotedUnit(u)})
	case p.screen == nil:
		args := []any{"place", weir.LogPath(u.Place), "target", weir.LogPath(u.Target), "files", u.Files}
		if u.Reason != "" {
			args = append(args, "reason", u.Reason)
		}
		if u.Problems > 0 {
			args = append(args, "problems", u.Problems)
		}
		if u.Todo != "" {
			args = append(args, "todo", u.Todo)
		}
		if u.Sight != "" {
			args = append(args, "sight", u.Sight, "scan_interval", u.Scan)
		}
		p.log.Info(string(u.Phase), args...)
	}
}

// quoted is a status whose paths are quoted where they are not plain text, since JSON has no place for
// bytes that are not.
func quoted(s replicate.Status) replicate.Status {
	s.Units, s.Problems = append([]replicate.UnitStatus(nil), s.Units...), append([]replicate.Problem(nil), s.Problems...)
	s.Aside, s.Notes = append([]replicate.Aside(nil), s.Aside...), append([]replicate.Note(nil), s.Notes...)
	for i := range s.Units {
		s.Units[i] = quotedUnit(s.Units[i])
	}
	for i := range s.Problems {
		s.Problems[i].Path, s.Problems[i].Target = weir.QuotePath(s.Problems[i].Path), weir.QuotePath(s.Problems[i].Target)
	}
	for i := range s.Aside {
		a := &s.Aside[i]
		a.Path, a.Target, a.Now = weir.QuotePath(a.Path), weir.QuotePath(a.Target), weir.QuotePath(a.Now)
	}
	for i := range s.Notes {
		s.Notes[i].Path = weir.QuotePath(s.Notes[i].Path)
	}
	return s
}

func quotedUnit(u replicate.UnitStatus) replicate.UnitStatus {
	u.Place, u.Target = weir.QuotePath(u.Place), weir.QuotePath(u.Target)
	return u
}

// halt ends the presentation of what goes on.
func (p *presenter) halt() {
	close(p.stop)
	p.wg.Wait()
	p.show(p.m.Status())
}

// finish tells how the mirror ended, with everything that could not be replicated. It is the last that is told.
func (p *presenter) finish(err error) {
	s := p.m.Status()
	if p.json {
		status := 0
		if err != nil {
			status = weir.KindOf(err).ExitStatus()
		}
		end := endFields(status, err)
		end["status"] = quoted(s)
		event(p.out, "end", end)
		return
	}
	for _, u := range s.Units {
		if u.Phase.Stuck() {
			p.line("%s -> %s: %s, %s on the replica%s", weir.QuotePath(u.Place), weir.QuotePath(u.Target), u.Phase, plural(u.Files, "file"), because(u))
		}
	}
	for _, problem := range s.Problems {
		p.line("%s -> %s: %s", weir.QuotePath(problem.Path), weir.QuotePath(problem.Target), problem.Reason)
	}
	if s.More > 0 {
		p.line("%s", andMore(0, s.More))
	}
	for _, a := range s.Aside {
		p.line("set aside: %s is now %s", weir.QuotePath(a.Path), weir.QuotePath(a.Target+"/"+a.Now))
	}
	for _, note := range s.Notes {
		p.line("not followed: %s: %s", weir.QuotePath(note.Path), note.Reason)
	}
	if p.once {
		p.line("%s copied, %s read, %s written, %s removed", plural(s.Copied, "file"), size(s.Read), size(s.Written), plural(s.Removed, "name"))
	}
}

func (p *presenter) line(format string, args ...any) {
	fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
}
