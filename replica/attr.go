package replica

import "time"

// File type bits of Attr.Mode, as in stat(2).
const (
	TypeMask   = 0o170000
	TypeSocket = 0o140000
	TypeLink   = 0o120000
	TypeFile   = 0o100000
	TypeBlock  = 0o060000
	TypeDir    = 0o040000
	TypeChar   = 0o020000
	TypeFIFO   = 0o010000
	PermMask   = 0o7777
)

// Time is a time of an inode. It holds every value that a file system can store, which time.Duration
// arithmetic in nanoseconds does not.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Before reports whether t is earlier than u.
func (t Time) Before(u Time) bool {
	return t.Sec < u.Sec || t.Sec == u.Sec && t.Nsec < u.Nsec
}

// Go converts t for printing.
func (t Time) Go() time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

// Attr is what stat tells of one inode.
type Attr struct {
	Mode  uint32 // type and 12 permission bits, as in stat(2)
	UID   uint32
	GID   uint32
	Nlink uint32
	Rdev  uint64 // of devices
	Size  int64  // bytes; of a symlink the length of its text
	Ino   uint64
	Mtime Time
	Ctime Time
}

// Type returns the type bits of the mode.
func (a Attr) Type() uint32 { return a.Mode & TypeMask }

// Perm returns the 12 permission bits of the mode.
func (a Attr) Perm() uint32 { return a.Mode & PermMask }

// IsDir reports whether the inode is a directory.
func (a Attr) IsDir() bool { return a.Type() == TypeDir }

// IsFile reports whether the inode is a regular file.
func (a Attr) IsFile() bool { return a.Type() == TypeFile }
