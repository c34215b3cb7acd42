package advisory

import (
	"fmt"
	"slices"
	"strings"
)

// advise says what is to be done, and what else is to be known.
func (d *decision) advise() {
	f, id := &d.f, d.a.ID
	do := func(format string, args ...any) { f.Actions = append(f.Actions, fmt.Sprintf(format, args...)) }
	switch f.Verdict {
	case Affected, Inconsistent:
		do("install %s", id)
	case Damaged:
		do("install %s again: what it has installed is not there any more", id)
	case PrerequisiteMissing:
		do("install %s first, and %s after it", d.packs, id)
	case Unknown:
		f.Actions = append(f.Actions, d.hints...)
		f.Reasons = append(f.Reasons, d.e.Missing...)
	}
	if f.Verdict == PendingRestart && d.count(func(s State) bool { return s.Condition != fixed }) == 0 {
		do("undo what waits for the restart, or install %s again after it", id)
	}
	if f.Verdict.Affects() && (d.a.Restart || f.Verdict == PendingRestart) {
		do("restart the system")
	}
	for _, next := range d.a.FollowUps {
		if next.NT == d.e.System.NT && (f.Verdict.Affects() || f.Verdict == Fixed) {
			do("install %s too: %s", next.ID, next.Why)
		}
	}
	if d.e.RestartPending && f.Verdict != PendingRestart {
		f.Notes = append(f.Notes, "an update waits for a restart: check again after it")
	}
	if f.Verdict != Unknown { // Else they are among the reasons.
		f.Notes = append(f.Notes, d.e.Missing...)
	}
	if others := len(d.e.Packages) - len(d.records()); others > 0 && d.arch != 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("records of %s for another processor do not count: %d of %d", id, others, len(d.e.Packages)))
	}
	f.Notes = append(f.Notes, d.e.Remarks...)
}

// shipped says in how far a file is the very one that the article lists, or nothing. A date is no proof, since copying may
// change it.
func (a *Advisory) shipped(f Found) string {
	i := slices.IndexFunc(a.Files, func(row File) bool {
		return row.Installed == f.Installed && row.Machine == f.Machine && row.Version == f.Version && row.Size == f.Size && f.Problem == ""
	})
	switch {
	case i < 0:
		return ""
	case a.Files[i].Built.Equal(f.Modified.Truncate(60e9)):
		return "version, size and date are those of the article's " + a.Files[i].Name
	}
	return "version and size are those of the article's " + a.Files[i].Name
}

// Listed is a file of the article beside the one that the system has.
type Listed struct {
	File    File   `json:"file"`
	Found   *Found `json:"found,omitempty"`  // nil if another file has its place
	Product string `json:"product"`          // of the version that was found
	Level   string `json:"level"`            // its service pack
	Branch  string `json:"branch,omitempty"` // nothing if that is not known
	State   string `json:"state"`
	Shipped string `json:"shipped,omitempty"`
}

// List returns each file of the article that is for the processor of a system and for its line of builds, with what is there;
// and why there is none, if there is none.
func (a *Advisory) List(e Evidence) (rows []Listed, why string) {
	d := &decision{a: a, e: e}
	if d.applies() || d.servicePack() || d.machine() {
		return nil, d.f.Reasons[0]
	}
	d.files()
	for _, row := range a.rows(d.arch, d.line) {
		rows = append(rows, d.listed(row))
	}
	return rows, ""
}

func (d *decision) listed(row File) Listed {
	l := Listed{File: row}
	found := d.e.At(row.Installed)
	if found.Problem != "" {
		l.State = found.Problem
		return l
	}
	if named := d.rowNamed(found); named != "" && named != row.Name {
		l.State = fmt.Sprintf("%s is %s", row.Installed, named)
		return l
	}
	l.Found, l.Shipped = &found, d.a.shipped(found)
	l.Product, l.Level = d.product.Name, packName(d.line.ServicePack)
	if !d.line.has(found.Version) {
		l.Product, l.Level = "", ""
	}
	b, _ := d.a.branch(found)
	l.Branch = b.Name
	for _, n := range d.a.Numbering {
		if n.Version.fits(found.Version) {
			l.Product, l.Level = n.Product, n.Level
		}
	}
	l.State = "decides nothing"
	if row.Component != "" {
		l.State = d.judge(found, row.Version).condition
	}
	return l
}

// rowNamed returns the name of the article's file that a file says to be, where several have the same place.
func (d *decision) rowNamed(f Found) string {
	for _, row := range d.a.rows(d.arch, d.line) {
		if row.Installed == f.Installed && strings.EqualFold(row.Name, f.Original) {
			return row.Name
		}
	}
	return ""
}
