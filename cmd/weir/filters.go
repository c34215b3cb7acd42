package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir/control"
)

const filtersLong = `List the filters of the running weir, the one that is farthest from the volumes
first: how many instances of it are attached, its altitude, and the frame that
holds it.`

func newFiltersCommand() *cobra.Command {
	a := new(asker)
	return a.command(&cobra.Command{
		Use:     "filters",
		Short:   "List the filters of the running weir",
		Long:    filtersLong,
		Example: "  weir filters\n  weir filters --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			var list control.Filters
			if err := client.Get(c.Context(), "/v1/filters", nil, &list); err != nil {
				return err
			}
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error { return printFilters(w, list) })
		},
	})
}

func printFilters(w io.Writer, list control.Filters) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILTER\tINSTANCES\tALTITUDE\tFRAME")
	for _, f := range list.Filters {
		note := ""
		if f.Stopping {
			note = "\tis being unloaded"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%d%s\n", f.Name, f.Instances, f.Altitude, f.Frame, note)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printEpoch(w, list.Epoch)
}
