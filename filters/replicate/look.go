package replicate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

var errDevice = errors.New("device nodes are left out")

// look finds out what the source shows at a name and what has to be done about it.
func (b *batch) look(f *find) {
	s := b.s
	if s.outside(f.at) {
		f.skip = true
		return
	}
	o, err := f.dir.Lookup(f.at.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.absent = true
		return
	case err != nil:
		f.problem = fmt.Errorf("read source: %w", err)
		return
	}
	f.object, f.key = o, s.keys.of(f.at, o)
	f.covered, f.owned = b.u.place.covers(f.key)
	if f.skip, f.problem = b.excluded(f); f.skip || f.problem != nil {
		return
	}
	node, known, err := b.indexed(f)
	if err != nil {
		f.problem = err
		return
	}
	f.isNew, f.former = !known, node.Source.Size
	f.decide(s, node, known)
	if f.work < replica.Compare && f.object.IsFile() {
		b.u.rested(f.key)
	}
	if f.work == replica.Nothing && !f.isNew && !f.exists && !f.owned && node.Flags&replica.Pinned == 0 && slices.Contains(node.Names, f.at) {
		f.atRest = true // What has a name could be stored under it.
		return
	}
	if f.problem = b.storable(f); f.problem == nil {
		b.read(f)
	}
}

// indexed reads what the index has of the object that was found, unless an audit has read it and it is as it was.
func (b *batch) indexed(f *find) (replica.Node, bool, error) {
	now := b.u.ix.Version()
	if f.audited != nil && f.audited.Key == f.key && f.version == now {
		return *f.audited, true, nil
	}
	f.version = now
	return b.u.ix.Get(f.key)
}

// rests reports whether nothing had to be done about a name, and still has not: the index is as it was.
func (b *batch) rests(f *find) bool {
	return f.atRest && f.version == b.u.ix.Version() && (b.ix == nil || !b.ix.Changed())
}

// outside reports names that are no part of the tree: what a file system check keeps at the root of a
// volume, and the hidden directory of a source that is itself a target.
func (s *session) outside(at replica.Name) bool {
	if at.Parent != s.root {
		return false
	}
	return at.Name == target.HiddenDir && s.rel == "" || s.src.ForFsck(at.Name)
}

// excluded reports whether options leave a name out. The error is errUnknownDir if rules ask for its path and the replica
// does not have its directory.
func (b *batch) excluded(f *find) (bool, error) {
	if t := f.object.Type(); b.u.r.options.NoDevices && (t == replica.TypeChar || t == replica.TypeBlock) {
		b.u.skipped(b.s.path(b.u.ix, f.at), errDevice)
		return true, nil
	}
	rules := &b.u.r.options.Rules
	if rules.Empty() {
		return false, nil
	}
	path := f.at.Name
	if rules.NeedsPath() {
		var parked, known bool
		switch path, parked, known = b.s.where(b.u.ix, f.at); {
		case !known:
			return false, errUnknownDir
		case parked:
			return false, nil // It has no path in the tree. When it gets one it is walked.
		}
	}
	if !rules.Excluded(path, f.object.IsDir()) {
		return false, nil
	}
	if f.object.IsDir() {
		b.u.place.foreign.add(f.key)
	}
	return true, nil
}

func (f *find) decide(s *session, node replica.Node, known bool) {
	var old *replica.Node
	if known {
		old = &node
	}
	look := s.why(old, f.mode)
	look.Ops = f.ops
	f.work = replica.Decide(old, f.object.Attr, look)
}

// why says why an inode is looked at of which the replica has old, or nothing.
func (s *session) why(old *replica.Node, mode walkMode) replica.Look {
	u := s.u
	u.mu.Lock()
	defer u.mu.Unlock()
	return replica.Look{
		Scan: mode.scan, Full: mode.full, MapsLeaveNoSign: s.noMapSign, Redress: u.owesPrivileges(),
		Doubtful: old != nil && u.suspects.has(old.Gen), Rewrite: u.suspects.rewrite,
	}
}

// read gets what belongs to an object's metadata, apart from its stat.
func (b *batch) read(f *find) {
	if f.work == replica.Nothing {
		return
	}
	var err error
	if f.object.Type() == replica.TypeLink {
		if f.text, err = f.dir.Readlink(f.at.Name); err != nil {
			if f.problem = unlessGone(err); errors.Is(err, syscall.EINVAL) {
				f.problem = errVanished // Something else than a link has the name now.
			}
			return
		}
	}
	if f.object.IsDir() || f.object.IsFile() && f.work >= replica.Compare {
		return // Directories are read when their last step is done, files when they are copied.
	}
	f.xattrs, err = f.dir.Xattrs(f.at.Name)
	if err != nil {
		f.problem = unlessGone(err)
	}
}

// unlessGone passes an error on, except that what has vanished or changed its type since it was looked at
// is simply looked at again: an event for that is on its way.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, tree.ErrStale) || errors.Is(err, tree.ErrReplaced) || errors.Is(err, tree.ErrNotFile) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) {
		return errVanished
	}
	return err
}

var errVanished = errors.New("changed while it was looked at")

// resolve finds out whether an unknown directory belongs to the place. If it does, the name under which
// the first known ancestor leads to it is dirty; if not, the directory is remembered as foreign.
func (b *batch) resolve(dir weir.Handle) error {
	s, u := b.s, b.u
	h, ok := s.keys.handle(dir)
	if !ok || b.resolving[dir] {
		return nil
	}
	d, err := s.src.OpenHandle(h)
	if err != nil {
		u.resolvedIn(dir)
		return nil // It is gone; what it was part of has reported that.
	}
	defer func() { d.Close() }()
	chain := []weir.Handle{dir}
	for {
		where, pathErr := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.FD()))
		if now, err := d.Stat(""); err == nil && now.Nlink == 0 {
			u.resolvedIn(dir)
			return nil // It, or what it is in, was removed: what the kernel then says is no path.
		}
		parent, err := d.Parent()
		if errors.Is(err, fs.ErrNotExist) {
			// It is gone, or outside of what the mount shows: a subvolume, or a bind mount of a directory.
			b.foreign(chain)
			return nil
		}
		if err != nil {
			return fmt.Errorf("resolve a directory: %w", err)
		}
		self, err := parent.Self()
		d.Close()
		d = parent
		if err != nil {
			return err
		}
		key := s.keys.ofHandle(self.Handle)
		if covered, _ := u.place.covers(key); covered {
			b.foreign(chain)
			return nil
		}
		known := key == s.root
		if !known {
			_, known, err = u.ix.Get(key)
			if err != nil {
				return err
			}
		}
		if known || b.resolving[key] {
			for _, k := range chain { // What is found below them in this batch is walked with them.
				b.resolving[k] = true
			}
			if !known {
				return nil
			}
			return b.resolved(chain, key, where, pathErr)
		}
		if key == chain[len(chain)-1] || u.place.foreign.has(key) {
			b.foreign(chain)
			return nil
		}
		chain = append(chain, key)
	}
}

// foreign remembers directories that are no part of the place.
func (b *batch) foreign(chain []weir.Handle) {
	for _, key := range chain {
		b.u.place.foreign.add(key)
	}
}

// resolved handles an unknown directory whose chain of ancestors ends at one that the replica has.
func (b *batch) resolved(chain []weir.Handle, parent weir.Handle, where string, pathErr error) error {
	name := path.Base(where)
	if pathErr != nil || name == "/" {
		b.u.add(replica.Item{Dir: parent, Whole: true})
		return nil
	}
	at := replica.Name{Parent: parent, Name: name}
	probe := &find{at: at, key: chain[len(chain)-1]}
	probe.object.Mode = replica.TypeDir
	excluded, err := b.excluded(probe)
	if err != nil {
		return unlessVanished(err)
	}
	if excluded || b.s.outside(at) {
		b.foreign(chain)
		return nil
	}
	d, err := b.s.sourceDir(b.u.ix, parent)
	if err != nil {
		return unlessVanished(err)
	}
	b.own(d)
	b.add(d, at, 0)
	return nil
}

func unlessVanished(err error) error {
	if errors.Is(unlessGone(err), errVanished) || errors.Is(err, errUnknownDir) {
		return nil
	}
	return err
}
