package volume

import (
	"cmp"
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// model is which volumes there are, by what has been seen so far: what was seen goes in, changes come out.
// It does no I/O and has no lock.
type model struct {
	lastID  weir.VolumeID
	present []*incarnation // in order of arrival
	order   map[uint64]int // places of mounts in the last complete table, if ids are reused; nil if they are not

	foreign map[uint64]*incarnation // by the ids of mounts in other namespaces
}

// incarnation is one superblock for as long as a mount shows it.
type incarnation struct {
	id      weir.VolumeID
	device  mount.Device
	mounts  []mount.Entry // of weir's own namespace, in the order in which they were made
	foreign []foreign     // of other namespaces, in the order in which they were found
	coming  []foreign     // that weir is about to make; those of its own have no namespace
}

// foreign is a mount in another mount namespace than weir's.
type foreign struct {
	mount.Entry
	namespace mount.Namespace
}

// sample returns one of the mounts.
func (in *incarnation) sample() mount.Entry {
	switch {
	case len(in.mounts) > 0:
		return in.mounts[0]
	case len(in.coming) > 0:
		return in.coming[0].Entry
	}
	return in.foreign[0].Entry
}

// change is one thing to tell about a volume.
type change struct {
	kind   changeKind
	id     weir.VolumeID
	listed bool // of arrived
	parted bool // of changed: a mount of the volume left, so what was borrowed is called back
}

type changeKind uint8

const (
	arrived changeKind = iota
	changed
	left
)

// verdict is what a sentinel says of a superblock.
type verdict uint8

const (
	unwatched verdict = iota // no sentinel was placed
	alive                    // it is the superblock that it was
	dead                     // it is gone; a mount of the same device is another volume
)

func (m *model) find(id weir.VolumeID) *incarnation {
	for _, in := range m.present {
		if in.id == id {
			return in
		}
	}
	return nil
}

func (m *model) onDevice(device mount.Device) *incarnation {
	for _, in := range m.present {
		if in.device == device {
			return in
		}
	}
	return nil
}

// withMount returns the incarnation that a mount shows and the mount's index.
func (m *model) withMount(id uint64) (*incarnation, int) {
	for _, in := range m.present {
		for i := range in.mounts {
			if in.mounts[i].ID == id {
				return in, i
			}
		}
	}
	return nil, -1
}

// entries returns all mounts of weir's own namespace in the order in which they were made.
func (m *model) entries() []mount.Entry {
	var all []mount.Entry
	for _, in := range m.present {
		all = append(all, in.mounts...)
	}
	m.sort(all)
	return all
}

// sort puts mounts in the order in which they were made: unique ids grow.
func (m *model) sort(mounts []mount.Entry) {
	slices.SortFunc(mounts, func(a, b mount.Entry) int {
		if m.order == nil {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Compare(m.order[a.ID], m.order[b.ID])
	})
}

// attach takes in a mount with a unique id that was attached, moved or looked at again. A mount of a device
// that another present mount has is of the same superblock, since both are mounted at once.
func (m *model) attach(e mount.Entry, listed bool) []change {
	m.come(e.ID)
	if in, i := m.withMount(e.ID); in != nil {
		if in.mounts[i] == e {
			return nil
		}
		in.mounts[i] = e
		return []change{{kind: changed, id: in.id}}
	}
	if in := m.onDevice(e.Device); in != nil {
		in.mounts = append(in.mounts, e)
		m.sort(in.mounts)
		return []change{{kind: changed, id: in.id}}
	}
	return []change{m.arrive(e.Device, []mount.Entry{e}, listed)}
}

// update is attach for a mount that was looked at without an event: one that is not known has left
// meanwhile, or its event is still to come.
func (m *model) update(e mount.Entry) []change {
	if in, _ := m.withMount(e.ID); in == nil {
		return nil
	}
	return m.attach(e, false)
}

// detach takes out a mount. One that is not known was gone before anybody could look at it.
func (m *model) detach(id uint64) []change {
	in, i := m.withMount(id)
	if in == nil {
		return nil
	}
	in.mounts = slices.Delete(in.mounts, i, i+1)
	return []change{m.part(in, true)}
}

// part is what it means for an incarnation that one of its mounts is no more.
func (m *model) part(in *incarnation, parted bool) change {
	if len(in.mounts)+len(in.foreign)+len(in.coming) > 0 {
		return change{kind: changed, id: in.id, parted: parted}
	}
	return m.leave(in)
}

func (m *model) arrive(device mount.Device, mounts []mount.Entry, listed bool) change {
	m.lastID++
	m.present = append(m.present, &incarnation{id: m.lastID, device: device, mounts: mounts})
	return change{kind: arrived, id: m.lastID, listed: listed}
}

func (m *model) leave(in *incarnation) change {
	for _, f := range in.foreign {
		delete(m.foreign, f.ID)
	}
	m.present = slices.DeleteFunc(m.present, func(x *incarnation) bool { return x == in })
	return change{kind: left, id: in.id}
}

// replace takes in a complete table of one moment. unique says whether ids are never reused. sentinel is
// asked about volumes that are in the model.
func (m *model) replace(table []mount.Entry, unique, listed bool, sentinel func(weir.VolumeID) verdict) []change {
	byDevice, devices := groupByDevice(table)
	same := m.sameMounts(table, unique)
	var changes []change
	for _, in := range slices.Clone(m.present) {
		now := byDevice[in.device]
		if !in.survives(now, same, sentinel(in.id), unique) {
			changes = append(changes, m.leave(in))
			continue
		}
		parted := slices.ContainsFunc(in.mounts, func(e mount.Entry) bool { return same[e.ID] == other })
		if parted || !slices.Equal(in.mounts, now) {
			changes = append(changes, change{kind: changed, id: in.id, parted: parted})
			in.mounts = now
		}
		delete(byDevice, in.device)
	}
	for _, device := range devices {
		if mounts := byDevice[device]; mounts != nil {
			changes = append(changes, m.arrive(device, mounts, listed))
		}
	}
	for _, e := range table {
		m.come(e.ID)
	}
	m.order = places(table, unique)
	return changes
}

// survives tells whether an incarnation is still there, given the mounts that its device has now. Mounts in other
// namespaces prove it where ids are unique: those that are no more have been taken out before.
func (in *incarnation) survives(now []mount.Entry, same map[uint64]likeness, v verdict, unique bool) bool {
	if len(now)+len(in.foreign)+len(in.coming) == 0 || v == dead {
		return false
	}
	if len(now)+len(in.mounts) == 0 {
		return true // the table is not about it
	}
	return v == alive || len(in.coming) > 0 || unique && len(in.foreign) > 0 ||
		slices.ContainsFunc(in.mounts, func(e mount.Entry) bool { return same[e.ID] == unmoved })
}

// likeness says what a mount in a new table has to do with the known mount that had its id.
type likeness uint8

const (
	other   likeness = iota // the id was given to another mount
	moved                   // it may be the same one at another place, or another one
	unmoved                 // it is the same one
)

// sameMounts compares table with the known mounts. A reused id counts as unmoved only if all that does not
// change by a remount is equal, and if the mount has not moved towards the end of the table, where new
// mounts go.
func (m *model) sameMounts(table []mount.Entry, unique bool) map[uint64]likeness {
	known := map[uint64]mount.Entry{}
	for _, e := range m.entries() {
		known[e.ID] = e
	}
	same := map[uint64]likeness{}
	last := -1
	for _, e := range table {
		old, ok := known[e.ID]
		switch at := m.order[e.ID]; {
		case !ok:
		case unique:
			same[e.ID] = unmoved
		case at > last:
			if same[e.ID] = compare(old, e); same[e.ID] != other {
				last = at
			}
		}
	}
	return same
}

// compare compares two mounts with one reused id.
func compare(a, b mount.Entry) likeness {
	switch {
	case a.Device != b.Device || a.Root != b.Root || a.FSType != b.FSType || a.Source != b.Source:
		return other
	case a.ParentID != b.ParentID || a.Point != b.Point:
		return moved
	}
	return unmoved
}

func groupByDevice(table []mount.Entry) (map[mount.Device][]mount.Entry, []mount.Device) {
	groups := map[mount.Device][]mount.Entry{}
	var order []mount.Device
	for _, e := range table {
		if groups[e.Device] == nil {
			order = append(order, e.Device)
		}
		groups[e.Device] = append(groups[e.Device], e)
	}
	return groups, order
}

func places(table []mount.Entry, unique bool) map[uint64]int {
	if unique {
		return nil
	}
	order := make(map[uint64]int, len(table))
	for i, e := range table {
		order[e.ID] = i
	}
	return order
}
