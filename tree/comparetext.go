package tree

import (
	"fmt"
	"strconv"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/clone"
	"github.com/weirfs/weir/internal/sys/xattr"
	"github.com/weirfs/weir/replica"
)

func typeOf(s at.Stat) uint32 { return s.Mode & replica.TypeMask }

// typeName names the type of an inode.
func typeName(mode uint32) string {
	switch mode & replica.TypeMask {
	case replica.TypeFile:
		return "a file"
	case replica.TypeDir:
		return "a directory"
	case replica.TypeLink:
		return "a symbolic link"
	case replica.TypeFIFO:
		return "a FIFO"
	case replica.TypeSocket:
		return "a socket"
	case replica.TypeChar:
		return "a character device"
	case replica.TypeBlock:
		return "a block device"
	}
	return fmt.Sprintf("type %o", mode&replica.TypeMask)
}

func showMode(s at.Stat) string { return fmt.Sprintf("%04o", s.Mode&replica.PermMask) }

func showOwner(s at.Stat) string { return fmt.Sprintf("%d:%d", s.UID, s.GID) }

func showSize(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }

func showDevice(rdev uint64) string { return fmt.Sprintf("%d:%d", at.Major(rdev), at.Minor(rdev)) }

// showTime shows a time as date and nanoseconds in UTC.
func showTime(t replica.Time) string {
	return t.Go().UTC().Format("2006-01-02T15:04:05.000000000Z")
}

// longestShown is how many bytes of a value a line shows.
const longestShown = 200

// showBytes makes any bytes safe and short enough for a line.
func showBytes(s string) string { return showFrom(s, 0) }

// showFrom is showBytes that leaves out what comes before an offset, if the value is too long to be shown as a whole.
func showFrom(s string, offset int) string {
	if len(s) <= longestShown {
		return weir.QuotePath(s)
	}
	offset = min(offset, len(s)-longestShown)
	shown := strconv.Quote(s[offset : offset+longestShown])
	if offset > 0 {
		return fmt.Sprintf("%s from byte %d on (%d bytes)", shown, offset, len(s))
	}
	return fmt.Sprintf("%s... (%d bytes)", shown, len(s))
}

// showTwo shows two values that differ, so that a line shows where they begin to.
func showTwo(a, b string) (string, string) {
	const before = 20
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	offset := max(same-before, 0)
	if same+before <= longestShown {
		offset = 0
	}
	return showFrom(a, offset), showFrom(b, offset)
}

// showXattrs shows the values that an attribute has on both sides, where it is there.
func showXattrs(name string, values [2]string, present [2]bool) (a, b string) {
	for s, value := range values {
		if acl, err := xattr.ParseACL(value); err == nil && (name == accessACL || name == defaultACL) {
			values[s] = xattr.FormatACL(acl)
		}
	}
	a, b = showTwo(values[sideA], values[sideB])
	if !present[sideA] {
		a = "none"
	}
	if !present[sideB] {
		b = "none"
	}
	return a, b
}

// showByte shows the byte at which two files begin to differ.
func showByte(f *File, offset int64) string {
	var b [1]byte
	if n, _ := f.ReadAt(b[:], offset); n == 0 {
		return fmt.Sprintf("the end at byte %d", offset)
	}
	return fmt.Sprintf("0x%02x at byte %d", b[0], offset)
}

// holeBytes returns how many bytes of a file are holes.
func holeBytes(f *File) (int64, error) {
	s, err := at.StatFD(f.FD())
	if err != nil {
		return 0, err
	}
	holes := s.Size
	for offset := int64(0); ; {
		start, end, ok, err := clone.Data(f.FD(), offset, s.Size)
		if err != nil || !ok {
			return holes, err
		}
		holes -= end - start
		offset = end
	}
}

// ForFsck reports whether a name in d is that of the "lost+found" which belongs to fsck(8): at the root of an ext file system,
// whose inode number is 2, wherever a mount shows that. Other file systems are made without one, so that one which stands there is
// somebody's.
func (d *Dir) ForFsck(name string) bool {
	if name != LostFound {
		return false
	}
	space, err := at.SpaceOf(d.FD())
	if err != nil || space.Type != at.MagicExt {
		return false
	}
	const extRoot = 2
	s, err := at.StatFD(d.FD())
	return err == nil && s.Ino == extRoot
}
