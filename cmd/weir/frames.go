package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
)

const framesLong = `List the frames of the running weir, the highest first. A frame holds the filters
of a range of altitudes, and is attached to every volume on which one of them has
an instance; below the table it is said why it cannot be where it is not. Where a
layer such as an overlay comes between filters, those above it are in a frame of
their own.`

func newFramesCommand() *cobra.Command {
	a := new(asker)
	return a.command(&cobra.Command{
		Use:     "frames",
		Short:   "List the frames: ranges of altitudes, and what is attached",
		Long:    framesLong,
		Example: "  weir frames\n  weir frames --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			var list control.Frames
			if err := client.Get(c.Context(), "/v1/frames", nil, &list); err != nil {
				return err
			}
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error { return printFrames(w, list) })
		},
	})
}

func printFrames(w io.Writer, list control.Frames) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FRAME\tFROM\tBELOW\tFILTERS\tVOLUMES")
	var why reasons
	for _, f := range list.Frames {
		for _, l := range f.Links {
			why.add(fmt.Sprint(l.Volume), fmt.Sprint("frame ", f.ID), l.State, l.Why)
		}
		high := "-"
		if f.High != (weir.Altitude{}) {
			high = f.High.String()
		}
		filters := "-"
		if len(f.Filters) > 0 {
			filters = strings.Join(f.Filters, ", ")
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", f.ID, f.Low, high, filters, counted(f.Links))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return errors.Join(why.print(w), printEpoch(w, list.Epoch))
}

// counted says on how many volumes a frame is in which state.
func counted(links []control.Link) string {
	count := map[string]int{}
	var states []string
	for _, l := range links {
		if count[l.State] == 0 {
			states = append(states, l.State)
		}
		count[l.State]++
	}
	for i, state := range states {
		states[i] = fmt.Sprintf("%d %s", count[state], state)
	}
	if len(states) == 0 {
		return "-"
	}
	return strings.Join(states, ", ")
}
