package manager

import (
	"fmt"
	"strings"
	"time"

	"github.com/weirfs/weir"
)

// unloading is what there is to tell of a filter's end. Manager.mu guards it.
type unloading struct {
	by      string    // who has unloaded it; empty if nobody did but weir, which needs it no more
	forced  string    // who has done so by force, likewise
	since   time.Time // when that was
	refused string    // why the filter refused when it was last asked
	left    []string  // what was still going on in it, and is not waited for
	gone    bool      // nothing of it is left, or waited for, but conversations
}

// cause is that of the gap on a volume that the filter is taken from.
func (u unloading) cause(reason weir.TeardownReason) string {
	if reason != weir.TeardownMandatoryUnload || u.forced == "" {
		return "the filter was unloaded" + suffix(", by ", u.by)
	}
	return "the filter was unloaded by force, by " + u.forced + suffix(", and had refused: ", u.refused)
}

func suffix(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// askedBy notes who unloads a filter, which has consented or cannot refuse.
func (m *Manager) askedBy(l *life, by string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.unloading.by == "" {
		l.unloading.by = by
	}
}

// refusedBy notes what a filter has said to being unloaded.
func (m *Manager) refusedBy(l *life, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.unloading.refused = ""
	if err != nil {
		l.unloading.refused = err.Error()
	}
}

// abandon notes what goes on in a filter that is unloaded by force, and is not waited for.
func (m *Manager) abandon(l *life, where string, what ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.forced && len(what) > 0 {
		l.unloading.left = append(l.unloading.left, where+": "+strings.Join(what, ", "))
	}
}

// auditLocked frees what a filter's life has, if this is its end, and returns what tells of it if somebody has brought it
// about by force.
func (m *Manager) auditLocked(f *weir.Filter, l *life) func() {
	u := l.unloading
	if !u.gone || l.connected > 0 {
		return func() {}
	}
	l.rush()
	l.force()
	if u.forced == "" {
		return func() {}
	}
	refused, left := "no", "nothing"
	if u.refused != "" {
		refused = u.refused
	}
	if len(u.left) > 0 {
		left = strings.Join(u.left, "; ")
	}
	return func() {
		m.options.Logger.Warn("a filter was unloaded by force", "filter", f.Name, "by", u.forced, "since", u.since,
			"refused", refused, "left", left, "took", fmt.Sprint(now().Sub(u.since).Round(time.Millisecond)))
	}
}
