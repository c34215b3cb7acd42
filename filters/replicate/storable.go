package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// unstorable is why a target does not take an object at all. It is listed and not tried again until the
// source changes or weir starts anew.
type unstorable string

func (u unstorable) Error() string { return "the target cannot store " + string(u) }

// isUnstorable tells what no repetition heals.
func isUnstorable(err error) bool {
	var u unstorable
	return errors.As(err, &u)
}

// collision says that a target which does not tell upper from lower case has the name already.
type collision struct {
	other   string
	leaving bool // the source has lost the other name, and the replica is about to
}

func (c collision) Error() string {
	return "the target does not tell the name from " + weir.QuotePath(c.other) + ", which it has already"
}

// kindMissing says in words what a target with these limits cannot store of an object, or nothing.
func kindMissing(l tree.Limits, o replica.Attr, name string) string {
	switch typ := o.Type(); {
	case typ == replica.TypeLink && !l.Symlinks:
		return "symbolic links"
	case typ == replica.TypeFIFO && !l.FIFOs:
		return "FIFOs"
	case typ == replica.TypeSocket && !l.FIFOs:
		return "sockets"
	case (typ == replica.TypeChar || typ == replica.TypeBlock) && !l.Devices:
		return "devices"
	case len(name) > l.MaxName:
		return fmt.Sprintf("names longer than %d bytes", l.MaxName)
	case o.IsFile() && l.MaxSize > 0 && o.Size > l.MaxSize:
		return fmt.Sprintf("files larger than %d bytes", l.MaxSize)
	}
	return ""
}

// oddName reports whether a name has what some file systems refuse, or change without a word.
func oddName(name string) bool {
	last := name[len(name)-1]
	if last == '.' || last == ' ' || !utf8.ValidString(name) || strings.ContainsAny(name, `<>:"\|?*`) {
		return true
	}
	return strings.ContainsFunc(name, unicode.IsControl)
}

// tried returns what the target stores, and whether that is known.
func (t *target) tried() (tree.Limits, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limits, t.limits.MaxName > 0
}

// storable finds out whether the target takes what was found, before anything is copied. A name that the
// replica has already is not asked about.
func (b *batch) storable(f *find) error {
	l, ok := b.u.target.tried()
	if !ok {
		return nil
	}
	if what := kindMissing(l, f.object.Attr, f.at.Name); what != "" {
		return unstorable(what)
	}
	if l.AnyName && l.CaseSensitive {
		return nil
	}
	if key, taken, err := b.u.ix.Child(f.at.Parent, f.at.Name); err != nil || taken && key == f.key {
		return err
	}
	if !l.AnyName && oddName(f.at.Name) {
		if err := tryName(b.s.dst.tmp, f.at.Name); err != nil {
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

var trialNumber atomic.Uint64

// tryName makes a directory of that name aside and looks whether it is listed under it.
func tryName(tmp *tree.Dir, name string) error {
	aside := "name-" + strconv.FormatUint(trialNumber.Add(1), 10)
	if err := tmp.Mkdir(aside); err != nil {
		return err
	}
	defer func() { _ = tree.RemoveAll(tmp, aside) }() // What is left is removed at the next start.
	dir, err := tmp.OpenDir(aside)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Mkdir(name); err != nil {
		if full(err) || errors.Is(err, syscall.EROFS) {
			return err
		}
		return unstorable("this name: " + errnoText(err))
	}
	found := false
	err = dir.List(func(listed string, _ uint32) error {
		found = found || listed == name
		return nil
	})
	if err == nil && !found {
		err = unstorable("this name: it changes it")
	}
	return err
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

// surprises leaves out what the target is known to store of no file: that was said for all of them.
func (t *target) surprises(refused tree.Unstored, want replica.Attr) tree.Unstored {
	l, ok := t.tried()
	if !ok || len(refused) == 0 {
		return refused
	}
	var left tree.Unstored
	for _, r := range refused {
		known := r.Attribute == "owner" && !l.Owners || r.Attribute == "mode" && !l.Modes ||
			r.Attribute == "mtime" && (!l.Times || between(want.Mtime, l.TimeStep))
		if !known {
			left = append(left, r)
		}
	}
	return left
}

// between reports whether a time lies between two that are told apart in steps of so many nanoseconds.
func between(t replica.Time, step int64) bool {
	if step > 1e9 {
		return t.Nsec != 0 || t.Sec%(step/1e9) != 0
	}
	return step > 1 && int64(t.Nsec)%step != 0
}

// sameInode reports whether an object on the target is the one that the index remembers. Where inode
// numbers do not last, as on most programs behind FUSE, the type has to do.
func (t *target) sameInode(o tree.Object, known replica.Attr) bool {
	if o.Type() != known.Type() {
		return false
	}
	return o.Ino == known.Ino || o.Handle == ""
}

// free makes sure that a step does not take the name of another object that differs in case alone.
func (b *batch) free(dir *tree.Dir, step replica.Step) error {
	if l, ok := b.u.target.tried(); !ok || l.CaseSensitive || step.To.Parent == replica.Parking {
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
	l, ok := u.target.tried()
	return ok && !l.CaseSensitive && step.From.Parent == step.To.Parent && strings.EqualFold(step.From.Name, step.To.Name)
}

// recase changes the case of a name, by way of a name that is surely another.
func (b *batch) recase(dir *tree.Dir, step replica.Step) error {
	temp := b.u.tempName()
	if err := tree.Rename(dir, step.From.Name, b.s.dst.tmp, temp, 0); err != nil {
		return err
	}
	err := renameFree(b.s.dst.tmp, temp, dir, step.To.Name)
	if err != nil {
		return errors.Join(err, tree.Rename(b.s.dst.tmp, temp, dir, step.From.Name, 0))
	}
	return nil
}

// renameFree renames to a name that must not be taken. A file system that knows no flags of renameat2(2) is
// asked first; there, between asking and renaming, somebody else's new object could be overwritten.
func renameFree(from *tree.Dir, old string, to *tree.Dir, name string) error {
	err := tree.Rename(from, old, to, name, noReplace)
	if !errors.Is(err, syscall.EINVAL) {
		return err
	}
	switch _, lookErr := to.Lookup(name); {
	case errors.Is(lookErr, fs.ErrNotExist):
		return tree.Rename(from, old, to, name, 0)
	case lookErr != nil:
		return err
	}
	return fmt.Errorf("rename to %s: %w", weir.QuotePath(name), fs.ErrExist)
}

// withoutLinks turns a link on a target that has none into a rename, where the source has lost the old name
// too, or where it was the way into the parking. If not, the second name cannot be stored.
func (b *batch) withoutLinks(step *replica.Step) error {
	l, ok := b.u.target.tried()
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
	return unstorable("hard links; it has the file under another name")
}
