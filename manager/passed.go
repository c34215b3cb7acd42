package manager

import "github.com/weirfs/weir"

// passedLocked returns the call that tells of a volume to the filters that never had an instance on it. What weir was about to
// mount itself, nobody could use.
func (m *Manager) passedLocked(v *volume) (tell func()) {
	var filters []*weir.Filter
	for id, f := range m.filters {
		if f.Passed != nil && !v.met[id] && !v.info.Coming() && !m.state.Stopping() {
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
