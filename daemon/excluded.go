package daemon

import (
	"fmt"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/volume"
)

const excludeVolume = "--exclude-volume"

// excludes returns the function that says by which option a volume is excluded; nil if none is.
func (o *Options) excludes() func(weir.VolumeInfo) string {
	if len(o.Exclude) == 0 {
		return nil
	}
	return func(info weir.VolumeInfo) string {
		for _, spec := range o.Exclude {
			if spec.Matches(info) {
				return excludeVolume + " " + weir.QuotePath(spec.String())
			}
		}
		return ""
	}
}

// administered is excludes in the words of the matrix, which names the owner.
func (o *Options) administered() func(weir.VolumeInfo) string {
	excludes := o.excludes()
	if excludes == nil {
		return nil
	}
	return func(info weir.VolumeInfo) string {
		if by := excludes(info); by != "" {
			return "by the administrator: " + by
		}
		return ""
	}
}

// checkExcluded refuses what would leave nothing to replicate. What has been replicated before may stand at a bare mount point
// now, of which the volume around it says nothing.
func checkExcluded(w *volume.Watcher, o Options, known bool) error {
	excludes := o.excludes()
	if excludes == nil {
		return nil
	}
	v, err := w.At(o.Source)
	if err != nil {
		return nil // It is away, and waited for.
	}
	by := excludes(v.Info())
	if by == "" || known && !w.IsMountPoint(o.Source) {
		return nil
	}
	return &weir.Error{Op: "use " + by, Kind: weir.KindRefused,
		Err:  fmt.Errorf("it names the volume of SOURCE, %s, so that nothing would be replicated", weir.QuotePath(o.Source)),
		Hint: "exclude a volume that is mounted below SOURCE, or another one"}
}
