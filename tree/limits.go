package tree

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/clone"
	"github.com/weirfs/weir/internal/sys/probe"
	"github.com/weirfs/weir/internal/sys/xattr"
	"github.com/weirfs/weir/replica"
)

// Limits says what a file system stores, for whoever tried it. What the process has no right to try counts as stored.
type Limits struct {
	Owners         bool  // any user and group
	Modes          bool  // all 12 permission bits
	Times          bool  // times of modification
	TimeStep       int64 // distance of the times it tells apart, in nanoseconds; 1 is the best, 0 without Times
	Symlinks       bool
	HardLinks      bool
	FIFOs          bool
	Devices        bool
	UserXattrs     bool // user.*
	TrustedXattrs  bool // trusted.*
	SecurityXattrs bool // security.*
	ACLs           bool // access control lists
	Holes          bool
	Reflinks       bool // files that share blocks
	CaseSensitive  bool // names that differ in case alone are different names
	AnyName        bool // any bytes in a name: control characters, invalid UTF-8, the special ones of Windows
	MaxName        int  // longest name, bytes
	MaxSize        int64
	Handles        bool // file handles that survive a rename
}

// Missing says in words what the file system cannot store and Linux otherwise can. It is empty for ext4, xfs
// and btrfs, except for a size limit and shared blocks, which cost nobody anything.
func (l Limits) Missing() []string {
	var missing []string
	for _, m := range []struct {
		ok   bool
		what string
	}{
		{l.Owners, "owners"},
		{l.Modes, "permission bits"},
		{l.Times, "times"},
		{l.TimeStep <= 1, fmt.Sprintf("times finer than %s", showStep(l.TimeStep))},
		{l.Symlinks, "symbolic links"},
		{l.HardLinks, "hard links"},
		{l.FIFOs, "FIFOs"},
		{l.Devices, "devices"},
		{l.UserXattrs, "user.* attributes"},
		{l.TrustedXattrs, "trusted.* attributes"},
		{l.SecurityXattrs, "security.* attributes"},
		{l.ACLs, "access control lists"},
		{l.Holes, "holes in files"},
		{l.CaseSensitive, "names that differ in case alone"},
		{l.AnyName, "names with special characters"},
		{l.MaxName >= longestName, fmt.Sprintf("names longer than %d bytes", l.MaxName)},
	} {
		if !m.ok {
			missing = append(missing, m.what)
		}
	}
	return missing
}

func showStep(ns int64) string {
	switch {
	case ns >= 1e9:
		return fmt.Sprintf("%d s", ns/1e9)
	case ns >= 1e6:
		return fmt.Sprintf("%d ms", ns/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%d us", ns/1e3)
	}
	return fmt.Sprintf("%d ns", ns)
}

// longestName is NAME_MAX, bytes.
const longestName = 255

// probing is the directory that TryLimits works in.
const probing = "limits"

// TryLimits finds out what the file system of d stores, by storing it in a directory "limits" of d, which
// nobody else changes; it removes that, also what an earlier trial left behind. An error means that nothing
// could be tried: no space, read-only, no rights.
func TryLimits(d *Dir) (l Limits, err error) {
	if err := RemoveAll(d, probing); err != nil {
		return l, fmt.Errorf("try limits: %w", err)
	}
	if err := d.Mkdir(probing); err != nil {
		return l, fmt.Errorf("try limits: %w", err)
	}
	defer func() { err = errors.Join(err, RemoveAll(d, probing)) }()
	own, err := d.OpenDir(probing)
	if err != nil {
		return l, fmt.Errorf("try limits: %w", err)
	}
	defer own.Close()
	f, err := own.CreateTemp("file")
	if err != nil {
		return l, fmt.Errorf("try limits: %w", err)
	}
	defer f.Close()
	t := trial{own, f, &l}
	t.attributes()
	t.xattrs()
	t.kinds()
	t.names()
	t.sizes()
	return l, nil
}

// trial is one run of TryLimits. An error of a call means that the thing is missing.
type trial struct {
	dir  *Dir
	file *File
	l    *Limits
}

func (t trial) attributes() {
	n := t.file.FD()
	const uid, gid, mode = 12345, 54321, 0o7751
	own, _ := at.StatFD(n)
	err := at.Chown(n, uid, gid)
	s, _ := at.StatFD(n)
	t.l.Owners = err == nil && s.UID == uid && s.GID == gid || probe.Lacks(capChown)
	at.Chown(n, own.UID, own.GID) // What else is tried takes rights that weir may lack on the files of others.

	err = at.ChmodOpen(n, mode)
	s, _ = at.StatFD(n)
	t.l.Modes = err == nil && s.Mode&replica.PermMask == mode
	at.ChmodOpen(n, 0o600)

	// An odd second and no two equal digits: what is left of it shows the step.
	const odd = 1_234_567_891
	s, err = setMtime(n, at.Time{Sec: odd, Nsec: 987_654_321})
	t.l.Times = err == nil && (s.Mtime.Sec == odd || s.Mtime.Sec == odd-1)
	if t.l.Times {
		t.l.TimeStep = timeStep(s.Mtime)
	}
	o, err := describe(n, t.dir.noHandles)
	t.l.Handles = err == nil && o.Handle != ""
}

// timeStep is the coarsest step of which the stored time is a multiple.
func timeStep(stored at.Time) int64 {
	if stored.Nsec == 0 {
		return 1e9 * (2 - stored.Sec%2)
	}
	ns := int64(1)
	for int64(stored.Nsec)%(ns*10) == 0 {
		ns *= 10
	}
	return ns
}

func (t trial) xattrs() {
	fd := xattr.FD{N: t.file.FD()}
	keeps := func(name, value string) bool {
		if xattr.Set(fd, name, value) != nil {
			return false
		}
		got, err := xattr.Get(fd, name)
		return err == nil && got == value
	}
	t.l.UserXattrs = keeps("user.weir", "1")
	t.l.TrustedXattrs = keeps("trusted.weir", "1")
	t.l.SecurityXattrs = keeps("security.weir", "1")
	t.l.ACLs = keeps(accessACL, xattr.EncodeACL([]xattr.ACLEntry{
		{Tag: xattr.Owner, Perm: 6},
		{Tag: xattr.User, Perm: 4, ID: 12345},
		{Tag: xattr.GroupOwner, Perm: 4},
		{Tag: xattr.Mask, Perm: 4},
		{Tag: xattr.Other},
	}))
}

func (t trial) kinds() {
	const null = 1<<8 | 3
	text, err := "", t.dir.Symlink("a/../b", "link")
	if err == nil {
		text, err = t.dir.Readlink("link")
	}
	t.l.Symlinks = err == nil && text == "a/../b"
	t.l.HardLinks = Link(t.dir, "file", t.dir, "hard") == nil
	t.l.FIFOs = t.dir.Mknod("fifo", replica.TypeFIFO|0o600, 0) == nil
	err = t.dir.Mknod("device", replica.TypeChar|0o600, null)
	o, failed := t.dir.Lookup("device")
	t.l.Devices = err == nil && failed == nil && o.Type() == replica.TypeChar && o.Rdev == null || probe.Lacks(capMknod)
}

func (t trial) names() {
	t.l.CaseSensitive = t.dir.Mkdir("Case") == nil && t.dir.Mkdir("cASE") == nil
	odd := []string{"\xff\xfe", "a\nb\x01", `<>:"\|?*`, "dot.", "space "}
	found := 0
	for _, name := range odd {
		if t.dir.Mkdir(name) != nil {
			return
		}
	}
	err := t.dir.List(func(name string, _ uint32) error {
		for _, o := range odd {
			if name == o {
				found++
			}
		}
		return nil
	})
	t.l.AnyName = err == nil && found == len(odd)
}

func (t trial) sizes() {
	t.l.MaxName = t.maxName()

	const hole = 1 << 20
	_, err := t.file.WriteAt(make([]byte, block), hole)
	s, failed := at.StatFD(t.file.FD())
	t.l.Holes = err == nil && failed == nil && s.Blocks*512 < hole
	if t.l.Holes {
		t.l.MaxSize = t.maxSize()
	}
	other, err := t.dir.CreateTemp("other")
	if err != nil {
		return
	}
	defer other.Close()
	t.l.Reflinks = clone.Whole(other.FD(), t.file.FD()) == nil
}

// maxSize tries sizes, which cost nothing where files may have holes.
func (t trial) maxSize() int64 {
	low, high := int64(1<<20), int64(math.MaxInt64)
	if at.Truncate(t.file.FD(), high) == nil {
		low = high
	}
	for high-low > block {
		middle := low + (high-low)/2
		if at.Truncate(t.file.FD(), middle) == nil {
			low = middle
		} else {
			high = middle
		}
	}
	at.Truncate(t.file.FD(), block)
	return low
}

// maxName tries names of one letter: 255 bytes first, then by halving.
func (t trial) maxName() int {
	takes := func(length int) bool { return t.dir.Mkdir(strings.Repeat("n", length)) == nil }
	if takes(longestName) {
		return longestName
	}
	low, high := 1, longestName
	for high-low > 1 {
		if middle := (low + high) / 2; takes(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
