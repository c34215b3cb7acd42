package replicate

import (
	"errors"
	"io/fs"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
)

// vanished is a name that the replica has and the source has lost.
type vanished struct {
	path string
	key  weir.Handle
	over bool // something else is put over it in one step, which no brake holds
}

// absences collects the names that the replica has and the source has lost.
func (w *dryWalk) absences(n *dryNames) error {
	if n.key == "" {
		return nil
	}
	return w.u.ix.Children(n.key, "", func(name string, key weir.Handle) (bool, error) {
		if n.seen[name] {
			return true, nil
		}
		if _, err := n.src.Lookup(name); !errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		node, known, err := w.u.ix.Get(key)
		if err != nil || !known || node.Flags&replica.Pinned != 0 || w.s.merge && w.s.keys.former(key) {
			return true, err
		}
		path := w.path(n.dryDir, name)
		if !w.r.options.Rules.ExcludedEntry(path, node.Source.IsDir()) {
			w.gone = append(w.gone, vanished{path: path, key: key})
		}
		return true, nil
	})
}

// strays tells about what the target has and nobody knows.
func (w *dryWalk) strays(n *dryNames) error {
	if n.dst == nil {
		return nil
	}
	return n.dst.List(func(name string, _ uint32) error {
		if n.seen[name] || w.keeps(n.dryDir, name) {
			return nil
		}
		if n.key != "" {
			if _, known, err := w.u.ix.Child(n.key, name); err != nil || known {
				return err
			}
		}
		w.say(Change{Act: ActAside, Path: w.path(n.dryDir, name), Reason: "weir did not make it, and the source does not have it"})
		return nil
	})
}

// asks asks the brake whether n names may go.
func (w *dryWalk) asks(n int) bool {
	total, err := w.u.ix.Count()
	if err != nil {
		return false
	}
	ok := w.u.brake.Ask(time.Now(), n, total)
	if !ok {
		w.total.Held += int64(n)
	}
	return ok
}

// leftParked collects what is in the parking and was not told of as deleted before.
func (w *dryWalk) leftParked() error {
	return w.u.ix.Children(replica.Parking, "", func(name string, key weir.Handle) (bool, error) {
		node, known, err := w.u.ix.Get(key)
		if known && node.Flags&replica.Uncounted != 0 {
			w.gone = append(w.gone, vanished{path: join(target.ParkedPath(w.u.place.id), name), key: key})
		}
		return true, err
	})
}

// removals tells what is deleted: names that have vanished, and what has made room, unless their objects were met elsewhere.
func (w *dryWalk) removals() error {
	if err := w.leftParked(); err != nil {
		return err
	}
	trees, asked := make([][]vanished, 0, len(w.gone)), 0
	for _, v := range w.gone {
		if w.found[v.key] {
			continue
		}
		var lost []vanished
		holds, err := w.below(v, &lost)
		if err != nil {
			return err
		}
		if holds {
			w.say(Change{Act: ActHold, Path: v.path, Reason: errPinned.Error()})
			continue
		}
		if trees = append(trees, lost); !v.over {
			asked += len(lost)
		}
	}
	if err := w.release(int64(asked)); err != nil {
		return err
	}
	for _, lost := range trees {
		reason := ""
		if len(lost) > 0 && !lost[0].over && !w.asks(len(lost)) {
			reason = errBrake.Error()
		}
		for _, l := range lost {
			w.say(Change{Act: ActDelete, Path: l.path, Reason: reason})
		}
	}
	return nil
}

// release lets go of a brake as a run does once it has found that n wait.
func (w *dryWalk) release(n int64) error {
	total, err := w.u.ix.Count()
	if err == nil && w.u.brake.MadeUp(n, total) {
		w.u.brake.Release(time.Now(), n)
	}
	return err
}

// below lists a name and what the replica has below it, without what lives on elsewhere. It reports whether
// the replica of another volume is among it.
func (w *dryWalk) below(top vanished, lost *[]vanished) (holds bool, err error) {
	stack := []vanished{top}
	for len(stack) > 0 && !holds {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		node, known, err := w.u.ix.Get(v.key)
		if err != nil {
			return false, err
		}
		if !known || w.found[v.key] {
			continue
		}
		holds = node.Flags&replica.Pinned != 0
		*lost = append(*lost, v)
		if !node.Source.IsDir() {
			continue
		}
		err = w.u.ix.Children(v.key, "", func(name string, key weir.Handle) (bool, error) {
			stack = append(stack, vanished{path: join(v.path, name), key: key})
			return true, nil
		})
		if err != nil {
			return false, err
		}
	}
	return holds, nil
}
