package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
)

const filtersLong = `List the filters of the running weir, the one that is farthest from the volumes
first: how many instances of it are attached, its altitude, the load-order group
that this is in, or -, and the frame that holds it, and how many of the instances
are scan only or blind, as weir coverage says it. With --stats also what its
instances have had to do: operations that they were told of, and how long that took
them at the most in 99 of 100 cases; operations that have passed through them and
are under way, and those that failed because of the filter, on planes that
intercept; and which of its calls were the slowest, of those that are timed: every
one with completed operations, and every sixteenth of an operation that passes
through. Operations for which the filter had no room, and that failed or passed
unseen for that, are told in any case.`

func newFiltersCommand() *cobra.Command {
	a := new(asker)
	var stats bool
	command := a.command(&cobra.Command{
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
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error { return printFilters(w, list, stats) })
		},
	})
	command.Flags().BoolVar(&stats, "stats", false, "also what the instances have had to do")
	return command
}

func printFilters(w io.Writer, list control.Filters, stats bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "FILTER\tINSTANCES\tALTITUDE\tGROUP\tFRAME")
	if stats {
		fmt.Fprint(table, "\tTOLD\tWITHIN\tPASSED\tINSIDE\tFAILED\tPRE WITHIN\tPOST WITHIN")
	}
	fmt.Fprintln(table)
	for _, f := range list.Filters {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d", f.Name, f.Instances, f.Altitude, cmp.Or(f.Group, "-"), f.Frame)
		if l := f.Stats; stats {
			fmt.Fprintf(table, "\t%d\t%v\t%d\t%d\t%d\t%v\t%v", l.Completed, l.Delivery, l.Operations, l.Inside, l.Failures, l.Pre, l.Post)
		}
		fmt.Fprintln(table, notes(f))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if stats {
		if err := printSlowest(w, list.Filters); err != nil {
			return err
		}
	}
	for i, f := range slices.DeleteFunc(slices.Clone(list.Filters), plain) {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "filter %s has on each volume: %s\n", f.Name, definitions(f))
	}
	if len(list.Loadable) > 0 {
		fmt.Fprintf(w, "\nnot loaded: %s\n", strings.Join(list.Loadable, ", "))
	}
	for i, v := range list.Violations {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "filter %s has broken rule %s, %d times; the log says where\n", v.Filter, v.Rule, v.Count)
	}
	return printEpoch(w, list.Epoch)
}

// printSlowest lists the slowest calls of each filter.
func printSlowest(w io.Writer, filters []control.Filter) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "\nSLOWEST\tCALL\tTOOK\tVOLUME\tOPERATION\tENTRY\tBEGAN\n"
	for _, f := range filters {
		for _, s := range f.Stats.Slowest {
			operation := s.Operation.String()
			if s.Count > 1 {
				operation += fmt.Sprintf(" (%d)", s.Count)
			}
			fmt.Fprintf(table, "%s%s\t%s\t%v\t%d\t%s\t%s\t%s\n", head, f.Name, s.Callback, s.Took.Round(time.Microsecond), s.Volume, operation,
				cmp.Or(s.Entry, "-"), moment(s.Began))
			head = ""
		}
	}
	return table.Flush()
}

// plain tells whether a filter has one instance on each volume, which is named like it and comes by itself.
func plain(f control.Filter) bool {
	return len(f.Definitions) == 1 && f.Definitions[0].Instance == f.Name && f.Definitions[0].Attach == weir.AttachAny
}

// definitions lists what a filter has on each volume.
func definitions(f control.Filter) string {
	var all []string
	for _, d := range f.Definitions {
		text := fmt.Sprintf("%s at %s", d.Instance, d.Altitude)
		switch d.Attach {
		case weir.AttachAutomatic:
			text += " (not by hand)"
		case weir.AttachManual:
			text += " (by hand only)"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// notes says at the end of a filter's line what is not as usual.
func notes(f control.Filter) string {
	var all []string
	if f.ScanOnly > 0 {
		all = append(all, fmt.Sprintf("%d scan only", f.ScanOnly))
	}
	if f.Blind > 0 {
		all = append(all, fmt.Sprintf("%d blind", f.Blind))
	}
	if f.Stats.Refused > 0 || f.Stats.Unseen > 0 {
		all = append(all, fmt.Sprintf("no room: %d failed, %d passed unseen", f.Stats.Refused, f.Stats.Unseen))
	}
	if f.Skips != "" {
		all = append(all, "without "+f.Skips)
	}
	if f.Stopping {
		all = append(all, "is being unloaded")
	}
	if len(all) == 0 {
		return ""
	}
	return "\t" + strings.Join(all, ", ")
}
