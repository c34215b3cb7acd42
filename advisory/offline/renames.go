package offline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/hive"
)

// maxRenames is how many operations are followed; the registry of a system that has been neglected for years has hundreds.
const maxRenames = 4096

// renames reads which files the next start of the system puts in the place of others. They stand in pairs, from and to; what
// has no second name is deleted.
func (g *gathering) renames(h *hive.Hive, manager string) error {
	key, err := h.Key(manager)
	if err != nil {
		return absentIsRight(err)
	}
	var all []string
	for _, name := range []string{"PendingFileRenameOperations", "PendingFileRenameOperations2"} {
		list, err := key.Strings(name)
		if absentIsRight(err) != nil {
			return err
		}
		if len(list)%2 != 0 {
			list = append(list, "")
		}
		all = append(all, list...)
	}
	others, err := h.Key(manager + `\FileRenameOperations`)
	if absentIsRight(err) != nil {
		return err
	}
	if n := others.Values(); n > 0 {
		return fmt.Errorf("the key FileRenameOperations, which is another list of pending renames, has %d values that are not followed", n)
	}
	if len(all) > 2*maxRenames {
		return fmt.Errorf("there are %d pending renames, of which %d can be followed", len(all)/2, maxRenames)
	}
	q := newQueue(g)
	q.mounted, _ = h.Key("MountedDevices") // Without it, of names by volume it is not known what they mean.
	for pair := range slices.Chunk(all, 2) {
		q.take(pair[0], pair[1])
	}
	q.read()
	q.protected(key)
	if n := len(q.unclear); n > 0 {
		g.e.Remarks = append(g.e.Remarks, fmt.Sprintf("what the pending rename of %s concerns cannot be told, and that of others, %d in all; it is none of these files", q.unclear[0], n))
	}
	return nil
}

// protected notes that renames over files of the system may not be carried out. Microsoft says that they are if a value is set,
// which installers do; whether each version of the system asks for it, and for which files, is not known.
func (q *queue) protected(manager hive.Key) {
	allowed, err := manager.Number("AllowProtectedRenames")
	if len(q.e.Renames) == 0 || err == nil && allowed != 0 {
		return
	}
	why := "is not set"
	if absentIsRight(err) != nil {
		why = "could not be read"
	}
	q.e.Remarks = append(q.e.Remarks, "AllowProtectedRenames "+why+", without which Windows may leave protected files of the system as they are: check again after the next start whether the pending renames have been carried out")
}

// queue is what the next start carries out, one after the other.
type queue struct {
	*gathering
	mounted hive.Key          // the names of volumes
	now     map[string]string // what a place has by then: where that is on the disk, and nothing if it has nothing
	doubts  []doubt           // the places of which that is not known
	coming  map[string]string // what is read of a place of the advisory, and where that is on the disk
	unclear []string          // what is renamed so that this cannot be told, and that it is none of the advisory's files can
}

func newQueue(g *gathering) *queue {
	return &queue{gathering: g, now: map[string]string{}, coming: map[string]string{}}
}

// take carries an operation out, as far as it concerns the files of the advisory.
func (q *queue) take(from, to string) {
	if from == "" {
		return
	}
	r := advisory.Rename{From: from, To: to}
	source, over := q.seen(q.named(from)), named{}
	if to != "" {
		over = q.seen(q.named(to))
	}
	switch {
	case source.replaces:
		source.doubt = "what the mark ! of the file means that is renamed is not known"
	case source.doubt == "" && to != "" && source.at != "" && q.directory(source.at):
		source.doubt = "a directory is renamed"
	}
	switch {
	case over.at != "" && over.doubt == "" && !over.replaces && q.there(over.at):
		// It does not replace what is there.
	case source.doubt != "" || over.doubt != "":
		q.perhaps(r, source, over)
	case over.at == "":
		q.leave(r, source)
	default:
		q.move(r, source, over)
	}
}

// leave takes a file away from where it is.
func (q *queue) leave(r advisory.Rename, source named) {
	why := "it is moved away then"
	if r.To == "" {
		why = "it is deleted then"
	}
	if source.at != "" {
		q.now[source.at] = ""
		q.put(r, source.at, advisory.Found{Problem: why})
	}
}

// move puts a file in a place that has nothing, or that it replaces.
func (q *queue) move(r advisory.Rename, source, over named) {
	var file advisory.Found
	origin := cmp.Or(q.now[source.at], source.at)
	why := q.doubted(source.at)
	if !over.replaces {
		why = cmp.Or(why, q.doubted(over.at))
	}
	switch {
	case source.at == "":
		file.Problem, file.Hint = r.From+", which takes its place, "+source.away, source.hint
	case why != "":
		file.Problem = why
	case !q.there(source.at):
		if slices.Contains(q.a.Paths(), over.at) {
			q.e.Remarks = append(q.e.Remarks, fmt.Sprintf("%s is not replaced at the next start: %s, which was to take its place, is not there", over.at, r.From))
		}
		return
	}
	q.leave(r, source)
	q.now[over.at] = origin
	if origin == "" || why != "" {
		q.doubts = append(q.doubts, doubt{over, r.From})
	}
	if q.put(r, over.at, file); file.Problem == "" {
		q.coming[over.at] = origin
	}
}

// read reads what comes into the places of the advisory: of each what is there in the end.
func (q *queue) read() {
	for i, r := range q.e.Renames {
		if origin, comes := q.coming[r.Over]; comes {
			q.e.Renames[i].File, _ = q.found(r.Over, origin)
		}
	}
}

// put notes what is in a place of the advisory then.
func (q *queue) put(r advisory.Rename, place string, f advisory.Found) {
	if !slices.Contains(q.a.Paths(), place) {
		return
	}
	delete(q.coming, place)
	r.Over, r.File = place, f
	r.File.Installed = place
	q.e.Renames = slices.DeleteFunc(q.e.Renames, func(other advisory.Rename) bool { return other.Over == place })
	q.e.Renames = append(q.e.Renames, r)
}

// there reports whether a place has something by then.
func (q *queue) there(at string) bool {
	if origin, known := q.now[at]; known {
		return origin != ""
	}
	_, err := q.inside(at)
	return !errors.Is(err, errAbsent)
}

// directory reports whether there is a directory on the disk.
func (q *queue) directory(at string) bool {
	name, err := q.inside(at)
	if err != nil {
		return false
	}
	info, err := q.root.Stat(name)
	return err == nil && info.IsDir()
}
