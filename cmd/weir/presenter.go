package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/filters/replicate"
)

// presenter shows how a mirror stands: one live view on a terminal, a line for each change of phase
// elsewhere, JSON objects where they were asked for.
type presenter struct {
	m    *daemon.Mirror
	out  io.Writer
	log  *slog.Logger
	json bool
	live bool
	once bool
	stop chan struct{}
	wg   sync.WaitGroup

	phases map[string]replicate.Phase
	lines  int // of the live view that stand on the terminal
	last   replicate.Status
	lastAt time.Time
}

func newPresenter(f *mirrorFlags, m *daemon.Mirror, out io.Writer, log *slog.Logger) *presenter {
	p := &presenter{m: m, out: out, log: log, json: f.json, once: f.once, stop: make(chan struct{}), phases: make(map[string]replicate.Phase)}
	p.live = !f.json && (f.progress == "always" || f.progress == "auto" && term.IsTerminal(int(os.Stderr.Fd())))
	return p
}

func (p *presenter) start() {
	p.wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.show(p.m.Status())
			}
		}
	})
}

// show tells what has changed since the last time.
func (p *presenter) show(s replicate.Status) {
	for _, u := range s.Units {
		key := u.Place + "\x00" + u.Target
		if p.phases[key] == u.Phase {
			continue
		}
		p.phases[key] = u.Phase
		switch {
		case p.json:
			p.encode(map[string]any{"time": time.Now(), "event": "phase", "replica": u})
		case !p.live:
			p.log.Info(string(u.Phase), "place", weir.QuotePath(u.Place), "target", weir.QuotePath(u.Target), "files", u.Files, "reason", u.Reason)
		}
	}
	if p.live {
		p.draw(s)
	}
	p.last, p.lastAt = s, time.Now()
}

func (p *presenter) encode(v any) {
	if err := json.NewEncoder(p.out).Encode(v); err != nil {
		p.log.Debug("standard output is gone", "error", err)
	}
}

// draw replaces the live view.
func (p *presenter) draw(s replicate.Status) {
	var b strings.Builder
	if p.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", p.lines)
	}
	lines := view(s, p.last, time.Since(p.lastAt))
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width < 20 {
		width = 120
	}
	for _, line := range lines {
		if r := []rune(line); len(r) > width-1 {
			line = string(r[:width-1])
		}
		b.WriteString(line + "\n")
	}
	p.lines = len(lines)
	fmt.Fprint(os.Stderr, b.String())
}

// view is the live view: totals, then a line for each replica, then what needs attention.
func view(s, before replicate.Status, took time.Duration) []string {
	rate := int64(0)
	if took > 0 {
		rate = int64(float64(s.Read-before.Read) / took.Seconds())
	}
	lines := []string{fmt.Sprintf("%d files copied, %s read, %s written, %s/s", s.Copied, size(s.Read), size(s.Written), size(max(rate, 0)))}
	for _, u := range s.Units {
		line := fmt.Sprintf("  %-13s %s -> %s  %d files", u.Phase, weir.QuotePath(u.Place), weir.QuotePath(u.Target), u.Files)
		if u.Backlog > 0 {
			line += fmt.Sprintf(", backlog %d, lag %s", u.Backlog, u.Lag)
		}
		if u.Sight != "" {
			line += fmt.Sprintf(", %s every %s", u.Sight, u.Scan)
		}
		if u.Reason != "" {
			line += ": " + u.Reason
		}
		lines = append(lines, line)
	}
	const shown = 5
	for i, problem := range s.Problems {
		if i == shown {
			lines = append(lines, fmt.Sprintf("  and %d more", int64(len(s.Problems)-shown)+s.More))
			break
		}
		lines = append(lines, fmt.Sprintf("  ! %s: %s", weir.QuotePath(problem.Path), problem.Reason))
	}
	return lines
}

// size prints bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// finish tells how the mirror ended, with everything that could not be replicated.
func (p *presenter) finish(err error) {
	close(p.stop)
	p.wg.Wait()
	s := p.m.Status()
	p.show(s)
	if p.json {
		end := map[string]any{"time": time.Now(), "event": "end", "status": s}
		if err != nil {
			end["error"] = err.Error()
		}
		p.encode(end)
		return
	}
	for _, problem := range s.Problems {
		fmt.Fprintf(p.out, "%s -> %s: %s\n", weir.QuotePath(problem.Path), weir.QuotePath(problem.Target), problem.Reason)
	}
	if s.More > 0 {
		fmt.Fprintf(p.out, "and %d more\n", s.More)
	}
	for _, path := range s.Aside {
		fmt.Fprintf(p.out, "set aside: %s\n", weir.QuotePath(path))
	}
	for _, note := range s.Notes {
		fmt.Fprintf(p.out, "not followed: %s: %s\n", weir.QuotePath(note.Path), note.Reason)
	}
	if p.once {
		fmt.Fprintf(p.out, "%d files copied, %s read, %s written, %d names removed\n", s.Copied, size(s.Read), size(s.Written), s.Removed)
	}
}
