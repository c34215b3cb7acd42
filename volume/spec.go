package volume

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weirfs/weir"
)

// Spec names volumes by what they are, whether they are there or not: the zero value names none.
type Spec struct{ text, key, value string }

// The keys of a Spec; a path has none.
const (
	specUUID  = "UUID"
	specLabel = "LABEL"
	specType  = "TYPE"
)

// ParseSpec reads UUID=, LABEL= or TYPE= with a value, as fstab(5) writes them, or an absolute path, which is that of a
// device or of a mount point. An error is a weir.Error of KindRefused.
func ParseSpec(text string) (Spec, error) {
	refused := func(why string) (Spec, error) {
		return Spec{}, &weir.Error{Op: "read volume", Kind: weir.KindRefused, Path: text, Err: errors.New(why),
			Hint: "write UUID=..., LABEL=..., TYPE=fstype, a device such as /dev/sdb1, or an absolute mount point"}
	}
	if filepath.IsAbs(text) {
		return Spec{text: text, value: filepath.Clean(text)}, nil
	}
	key, value, found := strings.Cut(text, "=")
	switch {
	case !found:
		return refused("it is no absolute path, and has no =")
	case !slices.Contains([]string{specUUID, specLabel, specType}, key):
		return refused("there is no key " + weir.QuotePath(key))
	case value == "":
		return refused("nothing stands behind the =")
	case key == specUUID && strings.Trim(value, "0123456789abcdefABCDEF-") != "":
		return refused("a UUID consists of hexadecimal digits and hyphens")
	case key == specType && strings.ContainsAny(value, "/ \t\n,"):
		return refused("this is no type of file systems")
	}
	return Spec{text, key, value}, nil
}

// String returns the text that was read.
func (s Spec) String() string { return s.text }

// Matches reports whether a volume is meant, by what is known of it. A mount point names the volume that is mounted there in
// weir's own mount namespace, or was when it left.
func (s Spec) Matches(info weir.VolumeInfo) bool {
	switch {
	case s.value == "":
		return false
	case s.key == specUUID:
		return strings.EqualFold(info.Identity.UUID, s.value)
	case s.key == specLabel:
		return info.Label == s.value
	case s.key == specType:
		return info.Identity.FSType == s.value
	}
	return Device(info.Source) == Device(s.value) || slices.ContainsFunc(slices.Concat(info.Mounts, info.Was), func(m weir.Mount) bool {
		return m.Own && m.Point == s.value
	})
}

// Device follows the links below /dev to a device, and leaves alone what is none. Nowhere else are links followed, since
// that may hang.
func Device(path string) string {
	if !strings.HasPrefix(path, "/dev/") {
		return path
	}
	if led, err := filepath.EvalSymlinks(path); err == nil {
		return led
	}
	return path
}
