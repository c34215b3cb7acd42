package replicate

import "github.com/weirfs/weir/filters/replicate/target"

// allUnits returns the units of every place on every target. Units are added to it, and none is taken away.
func (r *Replicator) allUnits() []*unit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.units
}

// unitsOf returns the units of a place.
func (r *Replicator) unitsOf(p *place) []*unit {
	return r.unitsThat(func(u *unit) bool { return u.place == p })
}

// unitsOn returns the units of a target.
func (r *Replicator) unitsOn(t *target.Target) []*unit {
	return r.unitsThat(func(u *unit) bool { return u.target == t })
}

// unitOf returns the unit of a place on a target.
func (r *Replicator) unitOf(p *place, t *target.Target) *unit {
	return r.unitsThat(func(u *unit) bool { return u.place == p && u.target == t })[0]
}

func (r *Replicator) unitsThat(are func(*unit) bool) (list []*unit) {
	for _, u := range r.allUnits() {
		if are(u) {
			list = append(list, u)
		}
	}
	return list
}

// kick has units that wait after a failure try again now: something was mounted, or made.
func (r *Replicator) kick() {
	for _, u := range r.allUnits() {
		u.tryNow()
	}
}

// askTargets has the units of a target look for it where another volume shows it than before, or none: while nothing
// changes on the source nobody else would ask for it. What was unmounted may have been changed, or restored from a
// backup, before it was mounted again.
func (r *Replicator) askTargets() {
	for _, t := range r.targets {
		shown := t.Shown()
		if shown == 0 || r.options.Mounts.ShownBy(t.Path()) == shown {
			continue
		}
		for _, u := range r.unitsOn(t) {
			u.seek()
			u.poke()
		}
	}
}
