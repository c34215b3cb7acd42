package policy

import "github.com/weirfs/weir"

// Match is what two identities say about their volumes.
type Match uint8

const (
	// MatchUnknown: the identities hold nothing that tells, as on file systems without UUID and handles.
	MatchUnknown Match = iota
	// MatchSame: everything that both know agrees.
	MatchSame
	// MatchOther: they are different volumes.
	MatchOther
	// MatchDirectory: the volume is the same, and the directory on it another one. Identify does not look at that.
	MatchDirectory
)

// Identify compares type, UUID (or fsid, where a volume has no UUID), root handle and birth of the root.
// A clone of an image cannot be told from its origin.
func Identify(a, b weir.Identity) Match {
	switch {
	case a.FSType != b.FSType, a.UUID != b.UUID, a.RootHandle != b.RootHandle, !a.RootBirth.Equal(b.RootBirth):
		return MatchOther
	case a.UUID == "" && a.FSID != b.FSID:
		return MatchOther
	case a.UUID == "" && a.FSID == "" && a.RootHandle == "":
		return MatchUnknown
	default:
		return MatchSame
	}
}
