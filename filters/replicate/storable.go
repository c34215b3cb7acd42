package replicate

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// collision says that a target which does not tell upper from lower case has the name already.
type collision struct {
	other   string
	leaving bool // the source has lost the other name, and the replica is about to
}

func (c collision) Error() string {
	return "the target does not tell the name from " + weir.QuotePath(c.other) + ", which it has already"
}

// storable finds out whether the target takes what was found, before anything is copied. A name that the
// replica has already is not asked about.
func (b *batch) storable(f *find) error {
	if b.s.hidden(f.at) {
		return target.Kept
	}
	l, ok := b.u.target.Limits()
	if !ok {
		return nil
	}
	if what := target.Missing(l, f.object.Attr, f.at.Name); what != "" {
		return target.Unstorable(what)
	}
	if l.AnyName && l.CaseSensitive {
		return nil
	}
	if key, taken, err := b.u.ix.Child(f.at.Parent, f.at.Name); err != nil || taken && key == f.key {
		return err
	}
	if !l.AnyName && target.OddName(f.at.Name) {
		if err := b.u.target.TryName(b.s.dst.Tmp, f.at.Name); err != nil {
			return err
		}
	}
	if l.CaseSensitive {
		return nil
	}
	dir, err := b.s.openTargetDirShared(b.u.ix, f.at.Parent)
	if err != nil {
		return nil // It is not there yet, so nothing is in it.
	}
	defer dir.Close()
	return b.collides(b.u.ix, dir, f.at, f.key)
}

// children lists the entries of a directory of the replica: the index, or a batch with its own writes.
type children interface {
	Children(parent weir.Handle, after string, fn func(name string, key weir.Handle) (more bool, err error)) error
}

// collides returns a collision if the target takes the name for that of another object of the replica.
func (b *batch) collides(ix children, dir *tree.Dir, at replica.Name, key weir.Handle) error {
	if _, err := dir.Lookup(at.Name); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	other := ""
	err := ix.Children(at.Parent, "", func(name string, child weir.Handle) (bool, error) {
		if name != at.Name && child != key && strings.EqualFold(name, at.Name) {
			other = name
		}
		return other == "" && name != at.Name, nil
	})
	if err != nil || other == "" {
		return err
	}
	src, err := b.s.sourceDir(b.u.ix, at.Parent)
	if err != nil {
		return unlessGone(err)
	}
	defer src.Close()
	_, err = src.Lookup(other)
	return collision{other, errors.Is(err, fs.ErrNotExist)}
}

// leavingTries is how often a name is tried that another one is about to make room for, before it is listed.
const leavingTries = 3

// isLeaving reports whether the failure passes as soon as the replica has lost another name.
func isLeaving(err error) bool {
	var c collision
	return errors.As(err, &c) && c.leaving
}

// free makes sure that a step does not take the name of another object that differs in case alone.
func (b *batch) free(dir *tree.Dir, step replica.Step) error {
	if l, ok := b.u.target.Limits(); !ok || l.CaseSensitive || step.To.Parent == replica.Parking {
		return nil
	}
	if _, taken, err := b.ix.Child(step.To.Parent, step.To.Name); err != nil || taken {
		return err
	}
	return b.collides(b.ix, dir, step.To, step.Key)
}

// sameButCase reports whether a step only changes the case of a name on a target that does not tell cases
// apart: there the new name seems to be taken, by the object itself.
func (u *unit) sameButCase(step replica.Step) bool {
	l, ok := u.target.Limits()
	return ok && !l.CaseSensitive && step.From.Parent == step.To.Parent && strings.EqualFold(step.From.Name, step.To.Name)
}

// recase changes the case of a name, by way of a name that is surely another.
func (b *batch) recase(dir *tree.Dir, step replica.Step) error {
	temp := b.u.tempName()
	if err := tree.Rename(dir, step.From.Name, b.s.dst.Tmp, temp, 0); err != nil {
		return err
	}
	err := tree.RenameFree(b.s.dst.Tmp, temp, dir, step.To.Name)
	if err != nil {
		return errors.Join(err, tree.Rename(b.s.dst.Tmp, temp, dir, step.From.Name, 0))
	}
	return nil
}

// withoutLinks turns a link on a target that has none into a rename, where the source has lost the old name
// too, or where it was the way into the parking. If not, the second name cannot be stored.
func (b *batch) withoutLinks(step *replica.Step) error {
	l, ok := b.u.target.Limits()
	if !ok || l.HardLinks || step.Verb != replica.Link {
		return nil
	}
	step.Verb = replica.Move
	if step.To.Parent == replica.Parking {
		return nil
	}
	dir, err := b.s.sourceDir(b.ix, step.From.Parent)
	if err != nil {
		return unlessVanished(err)
	}
	defer dir.Close()
	o, err := dir.Lookup(step.From.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case b.s.keys.of(step.From, o) != step.Key:
		return nil
	}
	return target.Unstorable("hard links; it has the file under another name")
}
