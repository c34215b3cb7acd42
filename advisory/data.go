package advisory

import (
	"slices"
	"time"
)

// Advisory is what one article says: which systems have a defect, and which files mend it. It is not changed once it has
// been read. Each field is a key of the file that it is read from; advisory/data/kb975759.toml shows and explains them all.
type Advisory struct {
	ID       string   `toml:"id" json:"id"`
	Title    string   `toml:"title" json:"title"`
	Symptom  string   `toml:"symptom" json:"symptom"`
	Cause    string   `toml:"cause" json:"cause"`
	Restart  bool     `toml:"restart" json:"restart"`   // the system is to be restarted after the hotfix
	Replaces []string `toml:"replaces" json:"replaces"` // hotfixes that this one replaces
	Sources  []string `toml:"sources" json:"sources"`
	Notes    []string `toml:"notes" json:"notes"`

	Products  []Product   `toml:"product" json:"products"`
	Unlisted  []Unlisted  `toml:"unlisted" json:"unlisted"`
	Lines     []Line      `toml:"line" json:"lines"`
	Branches  []Branch    `toml:"branch" json:"branches"`
	Numbering []Numbering `toml:"numbering" json:"numbering"`
	Records   []Record    `toml:"record" json:"records"`
	Gaps      []Gap       `toml:"gap" json:"gaps"`
	FollowUps []FollowUp  `toml:"follow_up" json:"follow_ups"`
	Files     []File      `toml:"file" json:"files"`
}

// Product is a system that the hotfix is for.
type Product struct {
	Name         string `toml:"name" json:"name"`
	NT           NT     `toml:"nt" json:"nt"`
	Type         Type   `toml:"type" json:"type"`
	First        int    `toml:"first_service_pack" json:"first_service_pack"` // that its first release has; 0 if it has none
	ServicePacks []int  `toml:"service_packs" json:"service_packs"`           // one of these must be installed
}

// Unlisted is a system that the hotfix is not for: one version, or a range of them, either end of which may be open.
type Unlisted struct {
	NT   NT     `toml:"nt" json:"nt,omitzero"`
	From NT     `toml:"nt_from" json:"nt_from,omitzero"`
	To   NT     `toml:"nt_to" json:"nt_to,omitzero"`
	Type Type   `toml:"type" json:"type,omitempty"` // or either
	Why  string `toml:"why" json:"why"`

	Machines []Machine `toml:"machines" json:"machines,omitempty"` // that there are of it; nothing if that is not told
}

// Line is a series of builds of one system with one service pack, in which a higher number is a later file.
type Line struct {
	NT          NT       `toml:"nt" json:"nt"`
	ServicePack int      `toml:"service_pack" json:"service_pack"`
	Builds      []uint16 `toml:"builds" json:"builds"`
}

// Branch is one of the branches in which files of a system are built, which is a property of each file.
type Branch struct {
	NT        NT       `toml:"nt" json:"nt"`
	Name      string   `toml:"name" json:"name"`
	Suffixes  []string `toml:"suffixes" json:"suffixes,omitempty"`   // of the build's name in FileVersion, or
	Revisions []uint16 `toml:"revisions" json:"revisions,omitempty"` // the first and the last one
	Mended    bool     `toml:"mended" json:"mended"`                 // files of the branch have the change, from the article's versions on
}

// Numbering is a row of an article's table about what the numbers of versions say.
type Numbering struct {
	Version Pattern `toml:"version" json:"version"`
	Product string  `toml:"product" json:"product"`
	Level   string  `toml:"level" json:"level"`
	Branch  string  `toml:"branch" json:"branch"`
}

// Record is a place in the hive SOFTWARE that says that the hotfix is installed.
type Record struct {
	NT   NT         `toml:"nt" json:"nt"`
	Kind RecordKind `toml:"kind" json:"kind"`
	Key  string     `toml:"key" json:"key"` // the path of a key, or how the names of packages begin
}

// Gap is something that an article does not tell, so that nothing can be decided.
type Gap struct {
	NT      NT      `toml:"nt" json:"nt"`
	Machine Machine `toml:"machine" json:"machine"`
	Why     string  `toml:"why" json:"why"`
}

// FollowUp is another update that is recommended after the hotfix.
type FollowUp struct {
	ID  string `toml:"id" json:"id"`
	NT  NT     `toml:"nt" json:"nt"`
	Why string `toml:"why" json:"why"`
}

// File is a row of an article's tables of files.
type File struct {
	Name        string    `toml:"name" json:"name"`
	Component   string    `toml:"component" json:"component,omitempty"` // what it is part of; nothing if it decides nothing
	Installed   string    `toml:"installed" json:"installed"`           // its path below the Windows directory, with / and in lower case
	Machine     Machine   `toml:"machine" json:"machine"`               // of the table
	Version     Version   `toml:"version" json:"version"`
	Size        int64     `toml:"size" json:"size"` // in bytes
	Built       time.Time `toml:"built" json:"built"`
	Platform    string    `toml:"platform" json:"platform"` // as the row has it, as the next two
	ServicePack string    `toml:"service_pack" json:"service_pack,omitempty"`
	Branch      string    `toml:"service_branch" json:"service_branch,omitempty"`
}

// fill makes lists that the file has not empty ones, as which they are in JSON, too.
func (a *Advisory) fill() {
	for _, texts := range []*[]string{&a.Replaces, &a.Sources, &a.Notes} {
		*texts = append([]string{}, *texts...)
	}
	a.Unlisted, a.Numbering, a.Records = append([]Unlisted{}, a.Unlisted...), append([]Numbering{}, a.Numbering...), append([]Record{}, a.Records...)
	a.Gaps, a.FollowUps = append([]Gap{}, a.Gaps...), append([]FollowUp{}, a.FollowUps...)
}

// Components returns the parts of the system that must all be mended, in the order of the tables.
func (a *Advisory) Components() (names []string) {
	for _, f := range a.Files {
		if f.Component != "" && !slices.Contains(names, f.Component) {
			names = append(names, f.Component)
		}
	}
	return names
}

// Paths returns every path at which a file of the article may be installed, in the order of the tables.
func (a *Advisory) Paths() (paths []string) {
	for _, f := range a.Files {
		if !slices.Contains(paths, f.Installed) {
			paths = append(paths, f.Installed)
		}
	}
	return paths
}

// has reports whether a version belongs to the line.
func (l Line) has(v Version) bool { return v.NT() == l.NT && slices.Contains(l.Builds, v[2]) }

// rows returns the files of the tables for a machine and a line.
func (a *Advisory) rows(m Machine, l Line) (rows []File) {
	for _, f := range a.Files {
		if f.Machine == m && l.has(f.Version) {
			rows = append(rows, f)
		}
	}
	return rows
}

// fits reports whether an unlisted system is the one that is given.
func (u Unlisted) fits(nt NT, t Type) bool {
	return (u.NT == NT{} || u.NT == nt) && (u.From == NT{} || u.From.Compare(nt) <= 0) && (u.To == NT{} || u.To.Compare(nt) >= 0) &&
		(u.Type == "" || u.Type == t)
}
