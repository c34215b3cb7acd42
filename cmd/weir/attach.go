package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir/control"
)

const attachLong = `Have an instance of a filter on a volume, and wait for what comes of it. It undoes
a detach, a removal and an exclusion, asks a filter again that has declined, and tries
a failed set-up at once.

VOLUME is a number that weir volumes shows, a mount point, a device, or a label.
INSTANCE is the name of one of several that the filter has; without it the default.`

func newAttachCommand() *cobra.Command {
	a := new(asker)
	return a.command(&cobra.Command{
		Use:               "attach FILTER VOLUME [INSTANCE]",
		Short:             "Attach an instance of a filter to a volume",
		Long:              attachLong,
		Example:           "  weir attach replicate /mnt/data\n  weir attach replicate 17 --json",
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: a.complete(completer{loadedFilters, knownVolumes}),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			volume, err := volumeNamed(c.Context(), client, args[1])
			if err != nil {
				return err
			}
			wanted := control.AttachRequest{Filter: args[0], Volume: volume.Info.ID}
			if len(args) > 2 {
				wanted.Instance = args[2]
			}
			var in control.Instance
			if err := client.Do(c.Context(), http.MethodPost, "/v1/instances", wanted, &in); err != nil {
				return mistaken(err)
			}
			return a.print(c.OutOrStdout(), in, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "instance %s is attached to volume %d (%s) at altitude %s, in frame %d%s\n",
					in.Instance, in.Volume, in.Name, in.Altitude, in.Frame, lessThanAll(in))
				return err
			})
		},
	})
}

// lessThanAll says of an instance that is attached why it does not see everything.
func lessThanAll(in control.Instance) string {
	if in.Why == "" {
		return ""
	}
	return fmt.Sprintf("; it is %s: %s", in.State, in.Why)
}
