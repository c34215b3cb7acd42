package tree

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/xattr"
	"github.com/weirfs/weir/replica"
)

// ErrReplaced says that a name leads to another object than the one that was meant.
var ErrReplaced = errors.New("another object has taken the place")

const (
	setuid     = 0o4000
	setgid     = 0o2000
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
	groupShift = 3
)

// MetaOptions says what SetMeta sets. The zero value sets owner, mode and extended attributes.
type MetaOptions struct {
	// NoOwner leaves the owner as it is.
	NoOwner bool

	// NoPrivileges leaves out the setuid and setgid bits of everything but directories, for which they
	// give no privilege, and file capabilities.
	NoPrivileges bool

	// Times sets the time of modification.
	Times bool

	// Expect, if it is not empty, is the handle of the object that is meant: any other is refused with
	// ErrReplaced.
	Expect weir.Handle
}

// Mode returns the 12 permission bits that SetMeta gives an object that is wanted as a.
func (o MetaOptions) Mode(a replica.Attr) uint32 {
	if o.NoPrivileges && !a.IsDir() {
		return a.Perm() &^ (setuid | setgid)
	}
	return a.Perm()
}

// Refusal is one attribute that a file system did not store.
type Refusal struct {
	Attribute string // "owner", "mode", "mtime", or the name of an extended attribute
	Err       error
}

// Unstored lists what a file system did not store of one object.
type Unstored []Refusal

// String lists attributes and reasons on one line.
func (u Unstored) String() string {
	var parts []string
	for _, r := range u {
		parts = append(parts, weir.QuotePath(r.Attribute)+": "+r.Err.Error())
	}
	return strings.Join(parts, "; ")
}

// SetMeta gives the object with the given name, which is opened and not followed, or the directory itself
// for the empty name, the owner, mode, extended attributes (nil: leave them, empty: remove all) and time of
// want. It sets only what differs, in an order in which nothing clears what was set before, and never has
// setuid, setgid or a capability in force for a wrong owner. The type of the object must be that of want.
//
// What the file system cannot store is returned in Unstored, and everything else is set nevertheless; an
// error (EIO, EROFS, no space, ErrImmutable, ...) ends the work at once.
func (d *Dir) SetMeta(name string, want replica.Attr, x Xattrs, o MetaOptions) (Unstored, error) {
	if d.byHandle {
		return nil, named("set attributes of", name, ErrByHandle)
	}
	if name == "" {
		return setMeta(xattr.FD{N: d.FD()}, want, x, o)
	}
	if err := component(name); err != nil {
		return nil, err
	}
	n, err := at.Open(d.FD(), name, at.Path, 0, at.OneTree)
	if err != nil {
		return nil, named("set attributes of", name, err)
	}
	defer at.Close(n)
	u, err := setMeta(xattr.FD{N: n, Path: true}, want, x, o)
	if err != nil {
		return u, named("set attributes of", name, err)
	}
	return u, nil
}

// errNotMade refuses to change a file that was opened for reading, perhaps by handle.
var errNotMade = errors.New("set attributes of a file that was opened for reading")

// SetMeta is Dir.SetMeta for a file that was made with CreateTemp, and for no other. It comes after the data,
// since writing clears setuid and capabilities and sets the time.
func (f *File) SetMeta(want replica.Attr, x Xattrs, o MetaOptions) (Unstored, error) {
	if !f.made {
		return nil, errNotMade
	}
	done, err := f.setPlain(want, x, o)
	if done || err != nil {
		return nil, err
	}
	return setMeta(xattr.FD{N: f.FD()}, want, x, o)
}

// setPlain sets what most files have, owner, permission bits and time, on a file that is taken to be as
// CreateTemp made it, and then looks. Done is false if something else was wanted, refused, or found: setMeta
// puts that right, and knows why.
func (f *File) setPlain(want replica.Attr, x Xattrs, o MetaOptions) (done bool, err error) {
	mode, n := o.Mode(want), f.FD()
	if !want.IsFile() || len(x) > 0 || mode&(setuid|setgid) != 0 || o.Expect != "" {
		return false, nil
	}
	if x != nil && !xattr.Bare(n) {
		return false, nil
	}
	if !o.NoOwner && (want.UID != 0 || want.GID != 0) && at.Chown(n, want.UID, want.GID) != nil {
		return false, nil
	}
	if mode != madeMode && at.ChmodOpen(n, mode) != nil {
		return false, nil
	}
	if o.Times && at.SetMtime(n, at.Time(want.Mtime)) != nil {
		return false, nil
	}
	s, err := at.StatFD(n)
	if err != nil {
		return false, fmt.Errorf("stat: %w", err)
	}
	return s.Mode&replica.PermMask == mode &&
		(o.NoOwner || s.UID == want.UID && s.GID == want.GID) &&
		(!o.Times || replica.Time(s.Mtime) == want.Mtime), nil
}

// setter sets the attributes of one object.
type setter struct {
	fd       xattr.FD
	want     replica.Attr
	options  MetaOptions
	mode     uint32 // the permission bits to set
	have     at.Stat
	fresh    bool // whether have shows the outcome of all that was set
	unstored Unstored
}

// setMeta: chown clears setuid, setgid and capabilities, so it comes first; an access control list changes
// the permission bits, so chmod comes after it; the capability comes when owner and mode are right; writing
// any of them leaves mtime alone, but it comes last all the same.
func setMeta(fd xattr.FD, want replica.Attr, x Xattrs, o MetaOptions) (Unstored, error) {
	s := setter{fd: fd, want: want, options: o, mode: o.Mode(want)}
	for _, step := range []func() error{
		s.look, s.owner, func() error { return s.xattrs(x) }, s.chmod,
		func() error { return s.capability(x) }, s.times, s.check,
	} {
		if err := step(); err != nil {
			return s.unstored, err
		}
	}
	return s.unstored, nil
}

func (s *setter) look() (err error) {
	if s.have, err = at.StatFD(s.fd.N); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if s.have.Mode&replica.TypeMask != s.want.Type() {
		return ErrReplaced
	}
	if s.options.Expect == "" {
		return nil
	}
	o, err := describe(s.fd.N, false)
	if err == nil && o.Handle != s.options.Expect {
		err = ErrReplaced
	}
	return err
}

func (s *setter) owner() error {
	if !s.options.NoOwner && (s.have.UID != s.want.UID || s.have.GID != s.want.GID) {
		if err := s.refused("owner", at.Chown(s.fd.N, s.want.UID, s.want.GID)); err != nil {
			return err
		}
		if err := s.restat(); err != nil {
			return err
		}
	}
	// Bits that lend the owner's or the group's rights are worth nothing, or too much, under another one.
	if s.want.IsDir() {
		return nil
	}
	if s.have.UID != s.want.UID {
		s.mode &^= setuid
	}
	if s.have.GID != s.want.GID {
		s.mode &^= setgid
	}
	return nil
}

func (s *setter) restat() (err error) {
	if s.have, err = at.StatFD(s.fd.N); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	return nil
}

// xattrs makes the extended attributes those of x, except that the capability is only removed here.
func (s *setter) xattrs(x Xattrs) error {
	if x == nil {
		return nil
	}
	have, err := xattr.All(s.fd)
	if err != nil {
		return err
	}
	for name := range have {
		_, wanted := x[name]
		if wanted && (name != capability || !s.options.NoPrivileges) {
			continue
		}
		if err := s.refused(name, xattr.Remove(s.fd, name)); err != nil {
			return err
		}
	}
	same := true
	for name, value := range x {
		if old, ok := have[name]; ok && old == value || name == capability {
			continue
		}
		same = false
		if err := s.setXattr(name, value); err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	// An access control list has changed the permission bits.
	return s.restat()
}

func (s *setter) setXattr(name, value string) error {
	count := len(s.unstored)
	if err := s.refused(name, xattr.Set(s.fd, name, value)); err != nil {
		return err
	}
	if name == accessACL && len(s.unstored) > count {
		s.withoutACL(value)
	}
	return nil
}

// withoutACL narrows the group's bits where the list cannot be stored: they are the list's mask there, which
// may allow more than the list allows to the group.
func (s *setter) withoutACL(value string) {
	acl, err := xattr.ParseACL(value)
	if err != nil {
		return
	}
	for _, entry := range acl {
		if entry.Tag == xattr.GroupOwner {
			s.mode &= uint32(entry.Perm)<<groupShift | ^uint32(0o070)
		}
	}
}

func (s *setter) chmod() error {
	s.fresh = true
	if s.want.Type() == replica.TypeLink || s.have.Mode&replica.PermMask == s.mode {
		return nil
	}
	s.fresh = false
	set := at.ChmodOpen
	if s.fd.Path {
		set = at.Chmod
	}
	return s.refused("mode", set(s.fd.N, s.mode))
}

func (s *setter) capability(x Xattrs) error {
	value, ok := x[capability]
	if !ok || s.options.NoPrivileges {
		return nil
	}
	if have, err := xattr.Get(s.fd, capability); err == nil && have == value {
		return nil
	}
	return s.refused(capability, xattr.Set(s.fd, capability, value))
}

func (s *setter) times() error {
	if !s.options.Times || replica.Time(s.have.Mtime) == s.want.Mtime {
		return nil
	}
	stored, err := setMtime(s.fd.N, at.Time(s.want.Mtime))
	if err == nil {
		s.have, s.fresh = stored, true
	}
	return s.refused("mtime", err)
}

// setMtime sets the time of modification alone, or with the time of access where that does nothing, and returns
// what has been stored.
func setMtime(n int, want at.Time) (stored at.Stat, err error) {
	if err := at.SetMtime(n, want); err != nil {
		return stored, err
	}
	if stored, err = at.StatFD(n); err != nil || stored.Mtime == want {
		return stored, err
	}
	if err := at.SetTimes(n, stored.Atime, want); err != nil {
		return stored, err
	}
	return at.StatFD(n)
}

// check looks at what has been stored: some file systems drop in silence what they cannot keep.
func (s *setter) check() error {
	if !s.fresh {
		if err := s.restat(); err != nil {
			return err
		}
	}
	h, w := s.have, s.want
	if !s.options.NoOwner && (h.UID != w.UID || h.GID != w.GID) {
		s.note("owner", fmt.Errorf("stored as %d:%d instead of %d:%d", h.UID, h.GID, w.UID, w.GID))
	}
	if mode := s.options.Mode(w); w.Type() != replica.TypeLink && h.Mode&replica.PermMask != mode {
		err := fmt.Errorf("stored as %04o instead of %04o", h.Mode&replica.PermMask, mode)
		if h.Mode&replica.PermMask^mode == setgid {
			err = lacking(err, capFsetid) // The kernel drops it without a word.
		}
		s.note("mode", err)
	}
	if s.options.Times && replica.Time(h.Mtime) != w.Mtime {
		s.note("mtime", fmt.Errorf("stored as %s instead of %s", showTime(replica.Time(h.Mtime)), showTime(w.Mtime)))
	}
	return nil
}

// note adds a refusal unless the attribute has one.
func (s *setter) note(attribute string, err error) {
	for _, r := range s.unstored {
		if r.Attribute == attribute {
			return
		}
	}
	s.unstored = append(s.unstored, Refusal{attribute, err})
}

// refused takes the outcome of setting one attribute: it notes what the file system cannot store, and
// returns what is an error.
func (s *setter) refused(attribute string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPERM) && (s.have.Immutable || s.have.AppendOnly):
		return fmt.Errorf("%s: %w: %w", attribute, ErrImmutable, err)
	case s.cannot(err):
		switch {
		case errors.Is(err, syscall.EPERM):
			err = lacking(err, rightTo(attribute))
		case errors.Is(err, syscall.ENOSPC):
			err = tooLarge{err}
		}
		s.note(attribute, err)
		return nil
	default:
		return fmt.Errorf("%s: %w", attribute, err)
	}
}

// tooLarge is what a kernel means that says ENOSPC where there is room.
type tooLarge struct{ error }

func (tooLarge) Error() string { return "the attribute is too large for the file system" }

func (t tooLarge) Unwrap() error { return t.error }

// cannot tells what a file system will never store from trouble that passes.
func (s *setter) cannot(err error) bool {
	for _, e := range []error{
		syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EPERM, syscall.EACCES, syscall.EINVAL,
		syscall.E2BIG, syscall.ERANGE, syscall.EOVERFLOW, syscall.ENAMETOOLONG,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return false
	}
	// ext4 and btrfs say ENOSPC for an attribute that is larger than their block, also on an empty volume.
	space, failed := at.SpaceOf(s.fd.N)
	return failed == nil && space.FreeBytes > 1<<20
}
