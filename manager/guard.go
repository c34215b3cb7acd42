package manager

import (
	"fmt"
	"maps"
	"runtime/debug"

	"github.com/weirfs/weir"
)

// culprit is a callback of a filter that has panicked, and not one of its instances.
type culprit struct{ filter, callback string }

// guard turns a panic of the filter into an error: one bad volume must not end the others. The stack is for the log alone, and
// is there the first time, the second, the fourth, and so on: some callbacks are called again and again.
func (m *Manager) guard(f *weir.Filter, name string, call func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("panic in %s of filter %s: %v", name, f.Name, p)
		if n := m.countPanic(culprit{f.Name, name}); n&(n-1) == 0 {
			m.options.Logger.Error("a callback has panicked", "filter", f.Name, "callback", name, "panics", n, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return call()
}

func (m *Manager) countPanic(c culprit) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.panics[c]++
	return m.panics[c]
}

// forgetPanicsLocked has a filter of that name that is loaded later begin anew.
func (m *Manager) forgetPanicsLocked(filter string) {
	maps.DeleteFunc(m.panics, func(c culprit, _ int) bool { return c.filter == filter })
}
