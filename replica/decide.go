package replica

import "github.com/weirfs/weir"

// Work says what has to be done about an inode's content and metadata, apart from its names.
type Work uint8

const (
	// Nothing: the replica has this version.
	Nothing Work = iota
	// Metadata: the content is the same, owner, mode, times or xattrs may not be.
	Metadata
	// Compare: the content has to be read to know.
	Compare
	// Content: the content is another, or was never copied.
	Content
)

// Look is why an inode is looked at.
type Look struct {
	Ops  weir.Ops // operations that were reported, 0 if none
	Scan bool     // the inode was met on a walk: operations on it may have gone unreported
	// Doubtful: the target may have lost what the record of the inode says.
	Doubtful bool
	// Rewrite: what is doubtful is written anew, since a look at the target may show what its disk does not have.
	Rewrite bool
	// MapsLeaveNoSign: stores through a mapping move no time stamp on this volume (tmpfs).
	MapsLeaveNoSign bool
	// Full: content is compared even where all else agrees.
	Full bool
	// Redress: what was copied got other privileges than is wanted now.
	Redress bool
}

// Decide compares what the source shows now with the version that the replica holds. old is nil if the
// replica holds none.
//
// Equal times prove equal content only if the content was read while nobody could write and the time
// stamp was old enough to have moved since. Without that, a reported modification means that the content
// has to be read.
func Decide(old *Node, now Attr, look Look) Work {
	work := decideAlone(old, now, look)
	switch {
	case look.Rewrite && look.Doubtful:
		return Content
	case look.Full && now.IsFile() && now.Size > 0: // The size of an empty file is all its content.
		return max(work, Compare)
	case look.Redress && look.Scan && !now.IsDir():
		return max(work, Metadata)
	}
	return work
}

// decideAlone is Decide by what is known of this inode, without what is wanted of all.
func decideAlone(old *Node, now Attr, look Look) Work {
	switch {
	case old == nil || old.Source.Type() != now.Type() || old.Source.Rdev != now.Rdev:
		return Content
	case !now.IsFile():
		return decideMetadata(old, now)
	case old.Flags&Inexact != 0 || old.Source.Size != now.Size:
		return Content
	case old.Source.Mtime != now.Mtime:
		if !look.Scan && look.Ops&(weir.OpModify|weir.OpClose) == 0 {
			return Compare
		}
		return Content
	case old.Source.Ctime != now.Ctime:
		if !look.Scan && look.Ops&(weir.OpModify|weir.OpClose) == 0 {
			return Metadata
		}
		return Compare
	case look.Scan && (look.Doubtful || old.Flags&Quiet == 0 || old.Flags&Racy != 0):
		return Compare
	case look.Ops&(weir.OpModify|weir.OpClose) != 0 && !proved(old, look):
		return Compare
	case old.Flags&Partial != 0: // It is tried again, and told again after a restart.
		return Metadata
	}
	return Nothing
}

func decideMetadata(old *Node, now Attr) Work {
	if old.Source.Ctime != now.Ctime || old.Source.Mtime != now.Mtime || old.Source.Mode != now.Mode {
		return Metadata
	}
	return Nothing
}

// proved reports whether equal times prove that the content has not changed since it was read.
func proved(old *Node, look Look) bool {
	return old.Flags&Quiet != 0 && old.Flags&(Racy|Touched) == 0 && !look.MapsLeaveNoSign
}

// Emptied reports whether the change takes content away: a file of some size that has none now.
func Emptied(old *Node, now Attr) bool {
	return old != nil && old.Source.IsFile() && now.IsFile() && old.Source.Size > 0 && now.Size == 0
}
