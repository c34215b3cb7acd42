package replicate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// largeFile is the size from which a copy is made beside the batches, so that it delays no other file.
const largeFile = 8 << 20

// maxReads is how often a file is read in the hope that it stands still. One whose copy takes longer than
// dearRead is read once: it changes as long as it is being written, and is copied again when it is quiet.
const (
	maxReads = 3
	dearRead = 250 * time.Millisecond
)

// copySmall copies or compares a file's content as far as that is called for. It runs in a worker.
func (b *batch) copySmall(f *find, sync bool) {
	if f.skip || f.absent || f.problem != nil || !f.object.IsFile() {
		if f.exists && f.problem == nil && !f.absent && !f.skip {
			f.problem = b.compareExisting(f)
		}
		return
	}
	if f.work < replica.Compare {
		return
	}
	if b.u.settling(f.key, f) {
		f.deferred = true
		return
	}
	src, err := f.dir.OpenObject(f.at.Name, f.object)
	if err != nil {
		f.problem = unlessGone(fmt.Errorf("read source: %w", err))
		return
	}
	defer src.Close()
	switch {
	case b.u.unfinished(f, src, f.object.Size):
		f.deferred = true
		return
	case f.object.Size >= largeFile:
		f.deferred = b.succeeds(f)
		f.large = !f.deferred
		return
	}
	c, err := b.s.version(b.u, src, f, sync)
	if err != nil {
		f.problem = err
		return
	}
	changed := c.flags&replica.Inexact != 0 || c.version.Attr != f.object.Attr // Since it was looked at.
	if changed && b.u.unfinished(f, src, c.version.Size) {
		f.deferred, f.problem = true, b.s.discard(c)
		return
	}
	f.copied = c
}

// version reads one stable version of a file. It returns a copy in a temporary, or one without a
// temporary if the replica's content is the same already.
func (s *session) version(u *unit, src *tree.File, f *find, sync bool) (*copied, error) {
	start := time.Now()
	base := s.oldVersion(u, f)
	if base != nil {
		defer base.Close()
	}
	for try := 1; ; try++ {
		c, err := s.readOnce(u, src, base, f, sync)
		if err != nil {
			return nil, err
		}
		c.cost = time.Since(start)
		if c.flags&replica.Inexact == 0 || try == maxReads || c.cost > dearRead {
			return c, nil
		}
		if err := s.discard(c); err != nil {
			return nil, err
		}
	}
}

// discard removes a copy that is not shown.
func (s *session) discard(c *copied) error {
	if c.temp == "" {
		return nil
	}
	return s.dst.Tmp.Unlink(c.temp)
}

// oldVersion opens what the replica has under the file's name, or under another name of the same node. It is nil if that is
// not the node's own, which is not what gets the attributes then.
func (s *session) oldVersion(u *unit, f *find) *tree.File {
	if f.exists {
		return s.openOld(u, f.at, nil)
	}
	node, known, err := u.ix.Get(f.key)
	if err != nil || !known {
		return nil
	}
	at, known, err := anyName(u.ix, node)
	if err != nil || !known {
		return nil
	}
	return s.openOld(u, at, &node)
}

// openOld opens a file of the replica, that of a node if there is one.
func (s *session) openOld(u *unit, at replica.Name, node *replica.Node) *tree.File {
	dir, err := s.openTargetDirShared(u.ix, at.Parent)
	if err != nil {
		return nil
	}
	defer dir.Close()
	if node != nil {
		if stands, err := u.stands(dir, at, *node); err != nil || !stands {
			return nil
		}
	}
	old, err := dir.OpenFile(at.Name)
	if err != nil {
		return nil
	}
	return old
}

// readOnce reads a file between two looks at it. The first look comes after its dirty pages have been
// written if somebody might store into them through a mapping, so that a later store moves its times.
func (s *session) readOnce(u *unit, src, base *tree.File, f *find, sync bool) (*copied, error) {
	c := &copied{}
	if err := c.begin(src); err != nil {
		return nil, err
	}
	var err error
	if c.xattrs, err = src.Xattrs(); err != nil {
		return nil, err
	}
	if time.Since(c.version.Ctime.Go()) < s.tick {
		c.flags |= replica.Racy
	}
	same := false
	if base != nil && (f.work == replica.Compare || f.exists) {
		if same, err = c.isIn(s, u, src, base); err != nil {
			return nil, err
		}
	}
	if !same {
		err = s.copyTo(u, f, c, src, base, sync)
		if target.Full(err) && base != nil { // What the replica has already takes no room.
			if has, failed := c.isIn(s, u, src, base); failed == nil && has {
				err = nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	after, err := src.Stat()
	if err != nil {
		return nil, err
	}
	if after.Mtime != c.version.Mtime || after.Ctime != c.version.Ctime || after.Size != c.version.Size {
		c.flags = c.flags&^replica.Quiet | replica.Inexact
	}
	return c, nil
}

// begin takes the stat that the version will be known by, and finds out what it proves. If somebody may store
// through a mapping it comes after the file's dirty pages have been written, and is proof against later stores
// only if no store came between: pages that are dirty then take more of them without a sign.
func (c *copied) begin(src *tree.File) error {
	writer, err := src.HasWriter()
	if err == nil && !writer {
		c.flags |= replica.Quiet
		c.version, err = src.Stat()
		return err
	}
	before, err := src.Stat()
	if err != nil {
		return err
	}
	if err := src.Datasync(); err != nil {
		return fmt.Errorf("write the source's dirty pages: %w", err)
	}
	if c.version, err = src.Stat(); err != nil {
		return err
	}
	if before.Mtime != c.version.Mtime || before.Ctime != c.version.Ctime || isRestless(c.version.Ctime) {
		c.flags |= replica.Racy
	}
	return nil
}

// isIn reports whether the replica has the version's content in base already.
func (c *copied) isIn(s *session, u *unit, src, base *tree.File) (same bool, err error) {
	old, err := base.Stat()
	if err != nil {
		return false, err
	}
	c.equal = old.Attr
	return u.sameContent(s.ctx, src, base, c.version.Size, u.comparing)
}

// sameContent reports whether the replica has a file's bytes, and its holes where the target can store holes.
func (u *unit) sameContent(ctx context.Context, src, base *tree.File, size int64, throttle func(context.Context, int) error) (bool, error) {
	old, err := base.Stat()
	if err != nil || old.Size != size {
		return false, err
	}
	if l, ok := u.target.Limits(); ok && l.Holes {
		if lacks, err := tree.LacksHoles(src, base); err != nil || lacks {
			return false, err
		}
	}
	return tree.SameDataSlowly(ctx, src, base, throttle)
}

// copyTo makes the temporary, with content and metadata.
func (s *session) copyTo(u *unit, f *find, c *copied, src, base *tree.File, sync bool) (err error) {
	defer u.status.copies()()
	name := u.tempName()
	temp, err := s.dst.Tmp.CreateTemp(name)
	if err != nil {
		return err
	}
	defer func() {
		temp.Close()
		if err != nil {
			_ = s.dst.Tmp.Unlink(name) // What is left is removed at the next start.
		}
	}()
	if err = s.mayFit(f, temp, c.version); err != nil {
		return err
	}
	_, err = tree.CopyData(s.ctx, temp, src, base, tree.CopyOptions{
		Throttle: u.throttle, Progress: u.r.counters.passed, Source: &c.version, Pair: &s.pair,
	})
	if err != nil {
		return err
	}
	refused, err := temp.SetMeta(c.version.Attr, c.xattrs, u.metaOptions())
	if err != nil {
		return err
	}
	if refused = u.target.Surprises(refused, c.version.Attr); len(refused) > 0 {
		c.flags |= replica.Partial
		c.refused = refused
	}
	if sync {
		if err := temp.Datasync(); err != nil {
			return err
		}
		c.synced = true
	}
	c.temp = name
	return nil
}

// tempName was never used before. Temporaries of an earlier process are removed at the start, but one that hangs in
// the kernel may rename its own as late as when it wakes.
func (u *unit) tempName() string {
	return fmt.Sprintf("%d-%d", u.ix.ID(), u.r.temps.Add(1))
}

// tempNumber is the number in a name that tempName made, or 0.
func (u *unit) tempNumber(name string) (n uint64) {
	_, number, _ := strings.Cut(name, "-")
	n, _ = strconv.ParseUint(number, 10, 64)
	return n
}

// tickOf returns how old a file's ctime must be on a volume so that a change that comes now moves it: 0 where each
// change that somebody could tell apart has a time of its own. Ticks of the kernel last up to 10 ms.
func tickOf(v weir.Volume, fineTimes bool) time.Duration {
	switch fs := v.Info().Identity.FSType; {
	case fs == "vfat" || fs == "msdos":
		return 2 * time.Second
	case fineTimes && slices.Contains([]string{"ext4", "xfs", "btrfs", "tmpfs"}, fs):
		return 0
	}
	return 20 * time.Millisecond
}

// compareExisting decides whether an object that the target has and the index does not know, and that is
// no file, is what the source shows.
func (b *batch) compareExisting(f *find) error {
	dir, err := b.s.openTargetDirShared(b.u.ix, f.at.Parent)
	if err != nil {
		return err
	}
	defer dir.Close()
	old, err := dir.Lookup(f.at.Name)
	if errors.Is(err, fs.ErrNotExist) {
		f.exists = false
		return nil
	}
	if err != nil {
		return err
	}
	f.takes = old.Type() == f.object.Type() && old.Rdev == f.object.Rdev
	if f.takes && f.object.Type() == replica.TypeLink {
		text, err := dir.Readlink(f.at.Name)
		f.takes = err == nil && text == f.text
	}
	return nil
}

func (u *unit) metaOptions() tree.MetaOptions {
	return tree.MetaOptions{NoPrivileges: u.r.options.NoPrivileges, Times: true}
}

// digest shortens the digest of the xattrs to what the index keeps.
func digest(x tree.Xattrs) uint64 {
	d := x.Digest()
	return binary.BigEndian.Uint64(d[:])
}
