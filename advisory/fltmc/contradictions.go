package fltmc

import (
	"fmt"
	"slices"

	"github.com/weirfs/weir"
)

// Contradiction is what one listing says and another does not. The listings may be of different moments.
type Contradiction struct {
	Line int    `json:"line"` // of the text, from 1
	Text string `json:"text"`
}

// Contradictions returns what the listings say differently: how many instances a filter has, which filters and volumes there are,
// and which are listed twice in different ways.
func (l *Listing) Contradictions() (all []Contradiction) {
	all = slices.Clone(l.changes)
	add := func(line int, format string, args ...any) {
		all = append(all, Contradiction{line, fmt.Sprintf(format, args...)})
	}
	s := l.survey()
	counted := map[string]int{}
	for _, i := range l.Instances {
		if !i.Legacy {
			counted[fold(i.Filter)]++
		}
	}
	listed := map[string]bool{}
	for _, f := range l.Filters {
		listed[fold(f.Name)] = true
		if n := counted[fold(f.Name)]; f.Instances >= 0 && f.Instances != n && s.told(f.Name, Volume{}) {
			add(f.Line, "filter %s has %d instances here, and %d in the listing of instances", weir.QuotePath(f.Name), f.Instances, n)
		}
	}
	unnamed := 0
	for _, v := range s.volumes {
		if v.unnamed() {
			unnamed++
		}
	}
	told := map[string]bool{}
	for _, i := range l.Instances {
		if filter := fold(i.Filter); l.allFilters && !listed[filter] && !told["filter "+filter] {
			told["filter "+filter] = true
			add(i.Line, "filter %s has an instance, and is not in the listing of filters", weir.QuotePath(i.Filter))
		}
		volume := fold(i.Volume)
		if _, known := s.volume(i); l.allVolumes && !known && volume != "" && !told["volume "+volume] {
			told["volume "+volume] = true
			as := ""
			if i.Detached {
				as = ", which is detached,"
			}
			add(i.Line, "volume %s%s has an instance, and is not in the listing of volumes", weir.QuotePath(i.Volume), as)
		}
	}
	for _, f := range s.filters {
		if l.allVolumes && f.nameless > unnamed {
			add(0, "filter %s has instances on %d volumes without a name, of which the listing of volumes has %d",
				weir.QuotePath(f.name), f.nameless, unnamed)
		}
	}
	return all
}
