package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/topology"
)

const instancesLong = `List the instances of filters on volumes in the running weir, what is farthest
from the volume first, with the states that weir coverage explains. What is owed is
listed too; volumes that a filter declines, or that a rule excludes, are with --all
only, and so is what is attached by hand only on pseudo file systems, and is not.

VOLUME is a number that weir volumes shows, a mount point, a device, or a label.`

const instancesExample = `  weir instances
  weir instances -f replicate
  weir instances -v /mnt/data --all`

func newInstancesCommand() *cobra.Command {
	a := new(asker)
	var filter, on string
	var all bool
	command := a.command(&cobra.Command{
		Use:     "instances [-f FILTER] [-v VOLUME]",
		Short:   "List the instances of filters on volumes",
		Long:    instancesLong,
		Example: instancesExample,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			query := url.Values{}
			if c.Flags().Changed("filter") {
				query.Set("filter", filter)
			}
			if c.Flags().Changed("volume") {
				volume, err := volumeNamed(c.Context(), client, on)
				if err != nil {
					return err
				}
				query.Set("volume", fmt.Sprint(volume.Info.ID))
			}
			var list control.Instances
			if err := client.Get(c.Context(), "/v1/instances", query, &list); err != nil {
				return mistaken(err)
			}
			list.Instances = slices.DeleteFunc(list.Instances, func(in control.Instance) bool {
				return !all && (in.State == "declined" || in.State == "excluded" || in.Pseudo && in.By == topology.ByDefinition)
			})
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error { return printInstances(w, list) })
		},
	})
	command.Flags().StringVarP(&filter, "filter", "f", "", "only those of `FILTER`")
	command.Flags().StringVarP(&on, "volume", "v", "", "only those on `VOLUME`")
	command.Flags().BoolVar(&all, "all", false, "also volumes that a filter declines, or a rule excludes")
	_ = command.RegisterFlagCompletionFunc("filter", a.complete(completer{loadedFilters})) // The flags exist.
	_ = command.RegisterFlagCompletionFunc("volume", a.complete(completer{knownVolumes}))
	return command
}

// mistaken makes a refusal of what the running weir does not find: the command line has named it.
func mistaken(err error) error {
	var e *weir.Error
	if errors.As(err, &e) && e.Kind == weir.KindAbsent {
		e.Kind = weir.KindRefused
	}
	return err
}

func printInstances(w io.Writer, list control.Instances) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILTER\tVOLUME\tALTITUDE\tINSTANCE\tFRAME\tSTATE\tMOUNTED AT")
	var why reasons
	for _, in := range list.Instances {
		state := in.State
		if in.By != "" {
			state += " by " + in.By
		}
		if in.Hung {
			state += ", hangs"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d\t%s\t%s\n", in.Filter, in.Volume, in.Altitude, in.Instance, in.Frame, state, in.Name)
		why.add(fmt.Sprint(in.Volume), in.Instance, in.State, in.Why)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := why.print(w); err != nil {
		return err
	}
	return printEpoch(w, list.Epoch)
}
