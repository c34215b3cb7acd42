package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// make creates the object of a node that the replica does not have.
func (b *batch) make(step replica.Step, f *find) error {
	dir, err := b.s.targetDir(b.ix, step.To.Parent)
	if err != nil {
		return err
	}
	if err := b.free(dir, step); err != nil {
		return err
	}
	node := replica.Node{Key: step.Key, Source: f.object.Attr, Names: []replica.Name{step.To}, Text: f.text}
	var refused tree.Unstored
	switch {
	case f.takes:
		refused, err = b.takeOver(dir, step.To, f)
	case f.object.IsDir():
		err = b.makeDir(dir, step.To)
	case f.object.IsFile():
		err = b.place(b.s.dst.Tmp, f.copied.temp, dir, step.To, step.Over)
	default:
		refused, err = b.makeSpecial(dir, step, f)
	}
	if err != nil {
		return err
	}
	switch {
	case f.object.IsDir():
		b.grown = append(b.grown, step.Key)
		b.touch(step.Key)
		node.Source.Ctime = replica.Time{} // Its metadata is set when the last step in it is done.
	case f.object.IsFile():
		node.Source, node.Flags, node.Xattrs = f.copied.version.Attr, f.copied.flags, digest(f.copied.xattrs)
		if !f.takes {
			refused = f.copied.refused
		}
		b.u.shownFile(f)
		f.copied.temp = ""
	default:
		node.Xattrs = digest(f.xattrs)
	}
	b.noteRefused(f, &node, refused)
	if step.Over == "" && (!f.mode.scan || f.mode.followed) { // What takes a name over makes up for nothing.
		b.u.grew()
	}
	if err := b.took(step); err != nil {
		return err
	}
	b.touch(step.To.Parent)
	now, err := dir.Stat(step.To.Name)
	if err != nil {
		return err
	}
	node.Target, node.Gen = now, b.u.gen
	b.u.noteWritten(&node)
	b.ix.PutNew(node)
	return b.ix.Err()
}

// takeOver gives an object that the target has already, and whose content is right, its metadata.
func (b *batch) takeOver(dir *tree.Dir, at replica.Name, f *find) (tree.Unstored, error) {
	attr, xattrs := f.object.Attr, f.xattrs
	switch {
	case f.object.IsDir():
		return nil, nil // It comes when the last step in it is done.
	case f.object.IsFile():
		attr, xattrs = f.copied.version.Attr, f.copied.xattrs
	}
	return dir.SetMeta(at.Name, attr, xattrs, b.u.metaOptions())
}

func (b *batch) makeDir(dir *tree.Dir, at replica.Name) error {
	err := dir.Mkdir(at.Name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if o, lookErr := dir.Lookup(at.Name); lookErr == nil && o.IsDir() {
		return nil // What is in it is compared on the walk that follows.
	}
	temp := b.u.tempName()
	if err := b.s.dst.Tmp.Mkdir(temp); err != nil {
		return err
	}
	return b.place(b.s.dst.Tmp, temp, dir, at, "")
}

// makeSpecial creates a symlink, FIFO, socket or device with its metadata, and only then shows it.
func (b *batch) makeSpecial(dir *tree.Dir, step replica.Step, f *find) (refused tree.Unstored, err error) {
	tmp, name := b.s.dst.Tmp, b.u.tempName()
	if f.object.Type() == replica.TypeLink {
		err = tmp.Symlink(f.text, name)
	} else {
		err = tmp.Mknod(name, f.object.Type()|0o600, f.object.Rdev)
	}
	if err != nil {
		return nil, err
	}
	if refused, err = tmp.SetMeta(name, f.object.Attr, f.xattrs, b.u.metaOptions()); err == nil {
		err = b.place(tmp, name, dir, step.To, step.Over)
	}
	if err != nil {
		_ = tmp.Unlink(name) // What is left is removed at the next start.
	}
	return refused, err
}
