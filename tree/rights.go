package tree

import (
	"fmt"

	"github.com/weirfs/weir/internal/sys/probe"
)

// Capabilities, by their names in capabilities(7), without which the kernel refuses a part of what a file system stores.
const (
	capChown   = "CAP_CHOWN"
	capFowner  = "CAP_FOWNER"
	capFsetid  = "CAP_FSETID"
	capMknod   = "CAP_MKNOD"
	capSetfcap = "CAP_SETFCAP"
)

// rightTo returns the capability that setting an attribute of somebody else's file takes.
func rightTo(attribute string) string {
	switch attribute {
	case "owner":
		return capChown
	case capability:
		return capSetfcap
	}
	return capFowner
}

// lacking adds to a refusal that it need not be the file system's, if the process has not got a capability.
func lacking(err error, capability string) error {
	if !probe.Lacks(capability) {
		return err
	}
	return fmt.Errorf("%w: weir runs without %s", err, capability)
}
