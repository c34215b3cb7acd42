package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir/control"
)

const loadLong = `Load a filter that is compiled into the running weir: every volume that is there,
and every one that will be mounted, gets its instances. A filter that cannot be
loaded is refused with the names of those that can.

` + manifestExample + `

The file is read by this command. It is for this time only: a filter that is loaded
again without one has its own instances, or those of weir mirror --manifest.`

func newLoadCommand() *cobra.Command {
	a := new(asker)
	var file string
	command := a.command(&cobra.Command{
		Use:               "load FILTER",
		Short:             "Load a filter that is compiled in",
		Long:              loadLong,
		Example:           "  weir load replicate\n  weir load activity --manifest activity.toml",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.complete(completer{loadableFilters}),
		RunE: func(c *cobra.Command, args []string) error {
			wanted := control.LoadRequest{Filter: args[0]}
			if c.Flags().Changed("manifest") {
				var err error
				if _, wanted.Manifest, err = readManifest(file); err != nil {
					return err
				}
			}
			client, err := a.client(c)
			if err != nil {
				return err
			}
			var list control.Filters
			if err := client.Do(c.Context(), http.MethodPost, "/v1/filters", wanted, &list); err != nil {
				return err
			}
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error {
				for _, f := range list.Filters {
					if f.Name == args[0] {
						fmt.Fprintf(w, "filter %s is loaded at altitude %s, in frame %d\n", f.Name, f.Altitude, f.Frame)
					}
				}
				return nil
			})
		},
	})
	command.Flags().StringVar(&file, "manifest", "", "have the instances that `FILE` says")
	return command
}
