package fltmc

import (
	"slices"
	"strings"
)

// Reason is why it may be no defect that a filter has no instance on a volume.
type Reason string

// The reasons. Only Unexplained is the symptom of KB 975759.
const (
	Unexplained Reason = ""
	// Gone is that the volume is detached: its device is away.
	Gone Reason = "the volume is detached"
	// Pipes is that it is no file system for files, but that of named pipes or mailslots.
	Pipes Reason = "it is no volume with files"
	// Redirector is that it is a network, on which many filters have no business.
	Redirector Reason = "it is a network redirector"
	// Nameless is that the filter has instances on volumes of which fltmc prints no name, but on fewer than there are.
	Nameless Reason = "fltmc prints no name of such volumes, and this may be any of them"
	// Selective is that it is a filter of Windows that is only where it is needed.
	Selective Reason = "the filter is part of Windows and chooses its volumes"
	// Snapshot is that it is a shadow copy.
	Snapshot Reason = "it is a shadow copy"
	// OtherFileSystem is that the filter has no instance on any volume of this file system.
	OtherFileSystem Reason = "the filter is on no volume of this file system"
	// UnknownFileSystem is that fltmc volumes does not say it, or is not there, so that nothing can be compared.
	UnknownFileSystem Reason = "no listing says which file system it has"
)

// Missed is a volume on which a filter has no instance, though it has some elsewhere.
type Missed struct {
	Filter string `json:"filter"`
	Volume Volume `json:"volume"` // the zero value if Reason is Nameless
	Reason Reason `json:"reason"`

	// On and Of say on how many of how many volumes with the same file system the filter is, detached ones and shadow copies
	// not counted; for Nameless, of the volumes without names; 0 and 0 if the file system is not known.
	On int `json:"on"`
	Of int `json:"of"`
}

// selective are filters that come with Windows and are not on every volume: of file virtualization (the system's volume),
// containers, cloud files, compressed system files, games, pipes that start services, and quality of storage.
func selective() []string {
	return []string{"luafv", "wcifs", "bindflt", "unionfs", "cldflt", "wof", "gameflt", "npsvctrig", "storqosflt", "filecrypt"}
}

// fold returns what names are compared by: no case, and no backslash at the end.
func fold(name string) string { return strings.TrimSuffix(strings.ToLower(name), `\`) }

func (v Volume) pipes() bool {
	return slices.Contains([]string{"namedpipe", "mailslot"}, fold(v.FileSystem)) ||
		slices.Contains([]string{`\device\namedpipe`, `\device\mailslot`}, fold(v.Device))
}

func (v Volume) redirector() bool {
	return slices.Contains([]string{"remote", "mup", "lanman", "webdav", "rdpdr", "nfs"}, fold(v.FileSystem)) || slices.Contains(
		[]string{`\device\mup`, `\device\lanmanredirector`, `\device\webdavredirector`, `\device\rdpdr`}, fold(v.Device))
}

func (v Volume) snapshot() bool {
	return strings.HasPrefix(fold(v.Device), `\device\harddiskvolumeshadowcopy`)
}

// ordinary says whether a filter that is elsewhere on the volume's file system may be expected here.
func (v Volume) ordinary() bool { return !v.Detached && !v.snapshot() }

// survey is what the listings say together.
type survey struct {
	*Listing
	volumes []Volume
	byName  map[place]int  // of the volumes
	filters []coverage     // those with instances, in the order of the listing
	scoped  map[scope]bool // of one filter or volume there is a listing
}

// place is a letter, mount point or device. One that is detached may have the same name as the one that has come in its place.
type place struct {
	name     string
	detached bool
}

// coverage is where a filter has instances.
type coverage struct {
	name     string
	on       map[int]bool
	nameless int // instances on volumes without a name
}

func (l *Listing) survey() survey {
	s := survey{Listing: l, byName: map[place]int{}, scoped: map[scope]bool{}}
	for _, c := range l.scopes {
		s.scoped[scope{fold(c.filter), fold(c.volume)}] = true
	}
	for _, v := range l.Volumes {
		s.add(v)
	}
	if !l.allVolumes {
		for _, i := range l.Instances {
			v := Volume{Line: i.Line, DOS: i.Volume, Detached: i.Detached}
			if strings.HasPrefix(i.Volume, `\`) {
				v.DOS, v.Device = "", i.Volume
			}
			s.add(v)
		}
		for _, c := range l.scopes { // a volume on which there is nothing at all
			if _, known := s.volume(Instance{Volume: c.volume}); c.volume != "" && !known {
				s.add(Volume{DOS: c.volume})
			}
		}
	}
	index := map[string]int{}
	for _, i := range l.Instances {
		if i.Legacy {
			continue
		}
		at, known := index[fold(i.Filter)]
		if !known {
			at = len(s.filters)
			index[fold(i.Filter)] = at
			s.filters = append(s.filters, coverage{name: i.Filter, on: map[int]bool{}})
		}
		if v, found := s.volume(i); found {
			s.filters[at].on[v] = true
		} else if i.Volume == "" {
			s.filters[at].nameless++
		}
	}
	return s
}

// add takes a volume of a name that is not there yet.
func (s *survey) add(v Volume) {
	if v.Name() == "" {
		return
	}
	for _, name := range []string{v.DOS, v.Device} {
		if at, known := s.byName[place{fold(name), v.Detached}]; known && name != "" && s.volumes[at].Device == v.Device {
			return
		}
	}
	for _, name := range []string{v.DOS, v.Device} {
		if name != "" {
			s.byName[place{fold(name), v.Detached}] = len(s.volumes)
		}
	}
	s.volumes = append(s.volumes, v)
}

// volume returns the volume that an instance is on. Listings without a status do not say that an instance is on one that is
// detached; what is said to be on such a one is not on the one that has come in its place.
func (s *survey) volume(i Instance) (at int, found bool) {
	if at, found = s.byName[place{fold(i.Volume), i.Detached}]; !found && !i.Detached {
		at, found = s.byName[place{fold(i.Volume), true}]
	}
	return at, found
}

// told says whether the listings would have an instance of the filter on the volume if there was one.
func (s *survey) told(filter string, v Volume) bool {
	of := func(filter, volume string) bool {
		return filter+volume != "" && s.scoped[scope{fold(filter), fold(volume)}]
	}
	return s.allInstances || of(filter, "") || of("", v.DOS) || of("", v.Device)
}

// Missed returns the volumes on which a filter has no instance, for each filter that has one somewhere: of those of fltmc
// volumes, or if that is not there of those on which any filter has one. Those without an explanation come first, and of them
// those of the filters that miss the fewest. Legacy filters have no instances.
func (l *Listing) Missed() []Missed {
	s := l.survey()
	most := 0
	for _, f := range s.filters {
		most = max(most, f.nameless)
	}
	var all []Missed
	odd := map[string]int{}
	for _, f := range s.filters {
		for _, m := range s.missedBy(f, most) {
			if m.Reason == Unexplained {
				odd[m.Filter]++
			}
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b Missed) int {
		switch {
		case (a.Reason == Unexplained) != (b.Reason == Unexplained):
			return strings.Compare(string(a.Reason), string(b.Reason))
		case a.Reason == Unexplained:
			return odd[a.Filter] - odd[b.Filter]
		}
		return 0
	})
	return all
}

// unnamed says whether fltmc instances prints no name of the volume.
func (v Volume) unnamed() bool { return v.DOS == "" && v.ordinary() && !v.pipes() && !v.redirector() }

// missedBy returns those of one filter; most is on how many volumes without a name any filter is.
func (s *survey) missedBy(f coverage, most int) (all []Missed) {
	count := map[string][2]int{} // by file system: on how many of how many
	hidden := map[int]bool{}     // it may be there without a name
	for i, v := range s.volumes {
		if !s.told(f.name, v) {
			continue
		}
		if v.unnamed() && s.allVolumes && !f.on[i] {
			hidden[i] = true
		}
		if n := count[v.FileSystem]; v.ordinary() {
			n[1]++
			if f.on[i] {
				n[0]++
			}
			count[v.FileSystem] = n
		}
	}
	if s.allVolumes {
		most = len(hidden)
	}
	if f.nameless > 0 && f.nameless < most || f.nameless == 0 && !s.allVolumes && s.allInstances && most > 0 {
		all = append(all, Missed{Filter: f.name, Reason: Nameless, On: f.nameless, Of: most})
	}
	for i, v := range s.volumes {
		if f.on[i] || !s.told(f.name, v) || f.nameless > 0 && hidden[i] {
			continue
		}
		m := Missed{Filter: f.name, Volume: v}
		if s.allVolumes {
			m.On, m.Of = count[v.FileSystem][0], count[v.FileSystem][1]
		}
		m.Reason = s.reason(m)
		all = append(all, m)
	}
	return all
}

func (s *survey) reason(m Missed) Reason {
	switch v := m.Volume; {
	case v.Detached:
		return Gone
	case v.pipes():
		return Pipes
	case v.redirector():
		return Redirector
	case slices.Contains(selective(), fold(m.Filter)):
		return Selective
	case v.snapshot():
		return Snapshot
	case slices.Contains([]string{"", "unknown"}, fold(v.FileSystem)):
		return UnknownFileSystem
	case m.On == 0:
		return OtherFileSystem
	}
	return Unexplained
}
