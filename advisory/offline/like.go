package offline

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// short is a component of a path that may be the short name of another: up to 8 characters, and 3 behind a dot.
var short = regexp.MustCompile(`(^|/)([^/.~]{1,6})~[0-9]{1,6}(\.[^/.]{1,3})?(/|$)`)

// like reports whether a component of a name may mean what is called so: itself, or what it is the short name of.
func like(component, called string) bool {
	if component == called || !strings.Contains(component, "~") {
		return component == called
	}
	m := short.FindStringSubmatch(component)
	if m == nil {
		return false
	}
	// The second half of the first six characters may be a checksum of the name.
	dot := path.Ext(called)
	return strings.HasPrefix(called, m[2][:min(2, len(m[2]))]) && m[3] == dot[:min(4, len(dot))]
}

// may reports whether a name may be that of a place, whose parts are given, or where it may be that of a directory of one that
// the place is in.
func (n named) may(place []string, directory bool) bool {
	if n.parts == nil {
		return false
	}
	for end := len(place); end >= 0 && (directory || end == len(place)); end-- {
		mine, its := n.parts, place[:end]
		switch {
		case n.begin == before && len(mine) > end:
			mine = mine[len(mine)-end:]
		case n.begin == somewhere && len(mine) < end:
			its = its[end-len(mine):]
		}
		if slices.EqualFunc(mine, its, like) && len(mine) > 0 || n.begin == somewhere && len(mine) == 0 {
			return true
		}
	}
	return false
}
