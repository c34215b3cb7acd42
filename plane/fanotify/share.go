package fanotify

import (
	"errors"
	"slices"
	"syscall"

	sys "github.com/weirfs/weir/internal/sys/fanotify"
)

var errClosed = errors.New("the plane has been closed")

// join puts a into a group, a new one if the kernel's limit leaves room.
func (p *Plane) join(a *attachment) error {
	limit := p.limit()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	if len(p.groups) < limit {
		g, err := newGroup(p.newGroup, p.options.Logger)
		if err == nil {
			p.groups = append(p.groups, g)
			g.add(a)
			return nil
		}
		if len(p.groups) == 0 || !errors.Is(err, syscall.EMFILE) {
			return err
		}
	}
	slices.MinFunc(p.groups, func(x, y *group) int { return x.burden(a) - y.burden(a) }).add(a)
	return nil
}

// limit is how many groups the plane may have: at least one, and without an option half of what the
// kernel allows the user, so that other programs and mount events find some too.
func (p *Plane) limit() int {
	if p.options.Groups > 0 {
		return p.options.Groups
	}
	allowed, err := sys.MaxUserGroups()
	if err != nil {
		p.options.Logger.Warn("limit of fanotify groups unknown", "error", err)
	}
	return max(1, allowed/2)
}

// leave takes a, whose gate is shut or whose mark was refused, out of its group. The last to leave
// closes the group and with it all marks.
func (p *Plane) leave(a *attachment) {
	p.mu.Lock()
	left := a.group.remove(a)
	last := left == 0 && slices.Contains(p.groups, a.group)
	if last {
		p.groups = slices.DeleteFunc(p.groups, func(g *group) bool { return g == a.group })
	}
	closed := p.closed
	p.mu.Unlock()
	if last {
		if err := a.group.close(); err != nil {
			p.options.Logger.Warn("fanotify group not closed", "error", err)
		}
	} else if !closed {
		a.unmark()
	}
}
