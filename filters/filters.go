// Package filters lists the filters that are compiled into weir. Each is a package below this one.
package filters

import (
	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/activity"
)

// All lists them, in the order in which they are shown. Nothing of them runs until a manager starts them. replicate is
// the filter of the mirror that runs.
func All(replicate *weir.Filter) []*weir.Filter {
	return []*weir.Filter{replicate, activity.New().Filter()}
}
