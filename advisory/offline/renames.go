package offline

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/hive"
)

// renames reads which files the next start of the system puts in the place of others. They stand in pairs, from and to; what
// has no second name is deleted.
func (g *gathering) renames(h *hive.Hive, manager string) error {
	key, err := h.Key(manager)
	if err != nil {
		return absentIsRight(err)
	}
	q := queue{gathering: g, gone: map[string]bool{}, holds: map[string]string{}}
	for _, name := range []string{"PendingFileRenameOperations", "PendingFileRenameOperations2"} {
		list, err := key.Strings(name)
		if err != nil && absentIsRight(err) != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for pair := range slices.Chunk(list, 2) {
			if len(pair) == 2 {
				q.take(pair[0], pair[1])
			}
		}
	}
	return nil
}

// queue is what the next start carries out, one after the other.
type queue struct {
	*gathering
	gone  map[string]bool   // what has been moved or deleted by then
	holds map[string]string // what a place has by then, by where that is now
}

// take carries an operation out, as far as it concerns the files of the advisory.
func (q *queue) take(from, to string) {
	source, here := q.inWindows(from)
	switch {
	case to == "" && here:
		q.gone[source] = true
		q.put(advisory.Rename{From: from, Over: source, File: advisory.Found{Installed: source, Problem: "it is deleted then"}})
		return
	case to == "":
		return
	}
	over, inside := q.inWindows(to)
	if !inside {
		if here {
			q.gone[source] = true
			q.put(advisory.Rename{From: from, To: to, Over: source, File: advisory.Found{Installed: source, Problem: "it is moved away then"}})
		}
		return
	}
	origin := source
	if moved, known := q.holds[source]; known {
		origin = moved
	}
	r := advisory.Rename{From: from, To: to, Over: over, File: advisory.Found{Installed: over, Problem: from + " is not on this volume"}}
	if here {
		r.File, _ = q.found(over, origin)
	}
	if _, err := q.inside(over); err == nil && !strings.HasPrefix(to, "!") && !q.gone[over] {
		return // It does not replace what is there.
	}
	if here && (q.gone[source] || r.File.Problem == errAbsent.Error()) {
		if slices.Contains(q.a.Paths(), over) {
			q.e.Remarks = append(q.e.Remarks, fmt.Sprintf("%s is not replaced at the next start: %s, which was to take its place, is not there", over, from))
		}
		return
	}
	delete(q.holds, source)
	q.gone[source], q.gone[over], q.holds[over] = true, false, origin
	q.put(advisory.Rename{From: from, To: to, Over: source, File: advisory.Found{Installed: source, Problem: "it is moved away then"}})
	q.put(r)
}

// put notes what is in a place of the advisory then.
func (q *queue) put(r advisory.Rename) {
	if !slices.Contains(q.a.Paths(), r.Over) {
		return
	}
	q.e.Renames = slices.DeleteFunc(q.e.Renames, func(other advisory.Rename) bool { return other.Over == r.Over })
	q.e.Renames = append(q.e.Renames, r)
}

// inWindows returns the path below the Windows directory of what the registry names; it may lead out of that, and not of the
// volume. It reports false if that is on another volume, or cannot be told.
func (g *gathering) inWindows(name string) (at string, here bool) {
	name = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "!"), `\`, "/"))
	if at, here = strings.CutPrefix(name, "/systemroot/"); here {
		return path.Clean(at), true
	}
	name = strings.TrimPrefix(name, "/??/")
	drive, at, named := strings.Cut(name, ":/")
	if !named || drive != g.drive || g.folder == "" {
		return "", false
	}
	if below, inside := strings.CutPrefix(at, g.folder+"/"); inside {
		return path.Clean(below), true
	}
	if g.windows == "." {
		return "", false // All that is known of the volume is this directory.
	}
	return path.Join("..", at), true
}
