package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
)

const unloadLong = `Unload a filter of the running weir, and wait until its last instance has ended.
The filter may refuse, and says why; with --force it is unloaded nevertheless.`

func newUnloadCommand() *cobra.Command {
	a := new(asker)
	var force bool
	command := a.command(&cobra.Command{
		Use:               "unload FILTER",
		Short:             "Unload a filter",
		Long:              unloadLong,
		Example:           "  weir unload replicate --force    stand still until weir load replicate",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.complete(completer{loadedFilters}),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			path := "/v1/filters/" + url.PathEscape(args[0])
			if force {
				path += "?mandatory=true"
			}
			var list control.Filters
			if err := client.Do(c.Context(), http.MethodDelete, path, nil, &list); err != nil {
				return mistaken(err)
			}
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "filter %s is unloaded\n", weir.QuotePath(args[0]))
				return err
			})
		},
	})
	command.Flags().BoolVar(&force, "force", false, "the filter may not refuse")
	return command
}
