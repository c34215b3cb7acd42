package offline

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/weirfs/weir/advisory"
)

// doubt is a place, or a directory with all that is in it, of which it is not known what it has.
type doubt struct {
	named
	by string // the file that is renamed
}

// seen doubts a name that leads through a link, or is one, and one that is like a short one, which a volume does not show on Linux,
// unless a file is called so.
func (q *queue) seen(n named) named {
	if link, left, found := q.throughLink(n); found {
		n.parts, n.begin = left, somewhere
		if n.doubt != "" {
			n.doubt += ", and "
		}
		n.doubt += fmt.Sprintf("%q is a link, and where it leads on the running system is not followed", link)
	}
	if n.doubt == "" && short.MatchString(n.at) && !q.there(n.at) {
		n.doubt = "of which file that is the short name cannot be told"
	}
	return n
}

// maxDevice is how many parts of a name may be those of a device.
const maxDevice = 6

// throughLink finds the first link that a name leads through, or that it is the name of, and the parts behind it. Where it is not
// known whether the path begins at the root of a volume, a link on this one may be meant.
func (q *queue) throughLink(n named) (link string, left []string, found bool) {
	visit := func(at, rest string) bool {
		info, err := q.root.Lstat(at)
		if found = err == nil && info.Mode()&fs.ModeSymlink != 0; found {
			link = at
			if left = []string{}; rest != "" {
				left = components(rest)
			}
		}
		return !found
	}
	// What stands behind a link that cannot be read does not matter, nor what is not there.
	if n.begin == atRoot && n.at != "" {
		_ = q.inwards(n.at, visit)
	}
	top := strings.Count(path.Join("/", q.folder), "/")
	for i := 0; n.begin == before && !found && i < min(len(n.parts), maxDevice); i++ {
		at := strings.Repeat("../", top) + strings.Join(n.parts[i:], "/")
		if place := q.below(at); place.at != "" {
			_ = q.inwards(place.at, visit)
		}
	}
	return link, left, found
}

// perhaps takes an operation of which it is not known what it does.
func (q *queue) perhaps(r advisory.Rename, source, over named) {
	what, touches := "the renaming of "+r.From+" to "+r.To, false
	if r.To == "" {
		what = "the deletion of " + r.From
	}
	for _, place := range q.a.Paths() {
		if whole := q.parts(place); source.may(whole, r.To != "") || over.may(whole, r.To != "") {
			touches = true
			q.put(r, place, advisory.Found{Problem: what + " may concern it: " + cmp.Or(source.doubt, over.doubt)})
		}
	}
	if !touches {
		q.unclear = append(q.unclear, r.From)
	}
	for _, n := range []named{source, over} {
		if n.parts != nil {
			q.doubts = append(q.doubts, doubt{n, r.From})
		}
	}
}

// doubted says why it is not known what a place has.
func (q *queue) doubted(place string) string {
	whole := q.parts(place)
	i := slices.IndexFunc(q.doubts, func(d doubt) bool { return d.may(whole, true) })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("what the pending rename of %s does before cannot be told", q.doubts[i].by)
}
