package volume

import (
	"errors"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// CheckOptions refuses, with KindRefused, what mount(8) does for an option and weir does not.
func (wanted Wanted) CheckOptions() error {
	for _, o := range mount.SplitOptions(wanted.Options) {
		if hint := instead(o.Name); hint != "" {
			return &weir.Error{Op: "mount", Kind: weir.KindRefused, Path: wanted.Source, Err: errors.New("weir does not take -o " + o.String()), Hint: hint}
		}
	}
	return nil
}

// instead says what to do in the place of an option that weir does not carry out.
func instead(name string) string {
	switch name {
	case "remount":
		return "use mount(8): mount -o remount DIR changes a volume that is followed already"
	case "bind", "rbind":
		return "use mount(8), which shows a volume again that is followed already"
	case "move":
		return "use mount(8): what is followed stays so wherever it moves"
	case "loop", "offset", "sizelimit":
		return "make a device of the file, and mount what this prints: losetup --find --show FILE"
	case "shared", "private", "slave", "unbindable", "rshared", "rprivate", "rslave", "runbindable":
		return "mount without it, and then use mount(8): mount --make-" + name + " DIR"
	case "helper", "uhelper":
		return "use mount(8): weir starts no other program to mount"
	case "X-mount.mkdir", "x-mount.mkdir":
		return "make the directory with mkdir, and leave the option out"
	}
	if strings.HasPrefix(name, "X-mount.") {
		return "use mount(8): it does itself what options of this name ask for"
	}
	return ""
}
