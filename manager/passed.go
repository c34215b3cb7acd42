package manager

import "github.com/weirfs/weir"

// passedLocked returns the call that tells of a volume to the filters that never had an instance on it.
func (m *Manager) passedLocked(v *volume) (tell func()) {
	var filters []*weir.Filter
	for id, f := range m.filters {
		if f.Passed != nil && !v.met[id] && !m.state.Stopping() {
			filters = append(filters, f)
		}
	}
	return func() {
		for _, f := range filters {
			m.running.Go(func() { m.tellPassed(f, v.info) })
		}
	}
}

func (m *Manager) tellPassed(f *weir.Filter, info weir.VolumeInfo) {
	_ = m.guard(f, "Passed", func() error {
		f.Passed(info)
		return nil
	})
}
