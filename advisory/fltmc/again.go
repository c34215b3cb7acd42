package fltmc

import (
	"fmt"
	"maps"
)

// again is what a table takes the place of: what was listed before of the same things.
type again struct {
	kind   kind
	line   int            // of the table
	before map[string]int // how often each row was there
	part   bool           // that was of some of them alone
	first  int            // which of the instances is the first of the table's own
}

// rowsOf counts what rows say, wherever they stand.
func rowsOf[R interface{ said() string }](rows []R) map[string]int {
	all := map[string]int{}
	for _, r := range rows {
		all[r.said()]++
	}
	return all
}

func (f Filter) said() string {
	return fmt.Sprintf("%q %d %s %q %v", f.Name, f.Instances, f.Altitude, f.Frame, f.Legacy)
}

func (v Volume) said() string {
	return fmt.Sprintf("%q %q %q %v", v.DOS, v.Device, v.FileSystem, v.Detached)
}

// said leaves out what listings of one filter or volume do not have, and how they write its name.
func (i Instance) said() string {
	return fmt.Sprintf("%q %q %q %v", fold(i.Filter), fold(i.Volume), i.Name, i.Detached)
}

// compare says of a table that is over whether it differs from what it has taken the place of: the text is of two moments, or of
// two machines, and what was missed in the first of them would be lost.
func (p *parser) compare() {
	if p.again == nil {
		return
	}
	l := &p.listing
	now := rowsOf(l.Filters)
	switch p.again.kind {
	case ofVolumes:
		now = rowsOf(l.Volumes)
	case ofInstances:
		now = rowsOf(l.Instances[p.again.first:])
	}
	same := maps.Equal(now, p.again.before)
	if p.again.part {
		same = true
		for row, n := range p.again.before {
			same = same && now[row] >= n
		}
	}
	if !same {
		const text = "the listing that begins here differs from the one before it, which counts no more: give what is of another moment or machine in a file of its own"
		l.changes = append(l.changes, Contradiction{p.again.line, text})
	}
	p.again = nil
}
