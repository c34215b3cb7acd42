package main

import (
	"cmp"
	"errors"
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

const coverageLong = `Say which volumes the filters of the running weir cover: the matrix of volumes and
instances, then the gaps that the ledger has, and what is wrong. A cell is

  attached     operations are delivered
  held         they are, and the filter waits for somebody to decide about a part of
               the volume, which is named
  local only   those of this machine are; others change the volume as well
  scan only    the volume reports nothing; its changes are found by scans
  scan overdue they should have been, and were not: nothing has looked for too long
  blind        the volume reports nothing, and the filter does not scan
  out of reach no mount of the volume can be reached: others hide them all, or they are in
               namespaces that weir does not enter; no fault, since nothing helps but to
               mount it elsewhere
  pending, setting up, failed
               there shall be an instance, and there is none yet
  detached     somebody has taken the instance away
  removed      weir has, since it could not go on with it
  declined     the filter has no business on the volume
  excluded     a rule keeps instances off it, by whom and since when; no fault
  draining     the instance ends
  none         nothing is owed

A gap is an interval in which a filter did not cover a volume; a scan closes it. While
a filter that the running weir is for is not loaded, that is a fault, too, and so is
what keeps weir itself from its work, such as a full disk below its state directory.
Pseudo file systems, and all but the latest of the gaps that are closed, are with
--all only.`

const coverageExit = `  0  everything that should be covered is
  1  something is not: held, scan overdue, blind, setting up, failed, pending, detached or
     removed, a gap of a volume that is there, a filter that is not loaded, volumes that
     cannot be listed, or a state directory that cannot be written
  2  refused: the command line, or the running weir; also if none runs, or several
  3  failed`

// latestGaps is how many gaps that are over are shown.
const latestGaps = 10

func newCoverageCommand() *cobra.Command {
	a := new(asker)
	var all bool
	command := a.command(&cobra.Command{
		Use:         "coverage",
		Short:       "Say which volumes are covered, by what, and since when not",
		Long:        coverageLong,
		Example:     "  weir coverage\n  weir coverage --json | jq -r .faults[]",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{exitKey: coverageExit},
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			var cover control.Coverage
			if err := client.Get(c.Context(), "/v1/coverage", nil, &cover); err != nil {
				return err
			}
			if err := a.print(c.OutOrStdout(), cover, func(w io.Writer) error { return printCoverage(w, cover, all) }); err != nil {
				return err
			}
			return told(uncovered(cover))
		},
	})
	command.Flags().BoolVar(&all, "all", false, "also pseudo file systems, and every gap that is kept")
	return command
}

// uncovered is the error whose kind gives the status 1.
func uncovered(cover control.Coverage) error {
	if cover.Covered {
		return nil
	}
	return &weir.Error{Op: "coverage", Kind: weir.KindDiffers, Err: errors.New(strings.Join(cover.Faults, "; "))}
}

func printCoverage(w io.Writer, cover control.Coverage, all bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "VOLUME\tTYPE")
	for _, c := range cover.Columns {
		fmt.Fprintf(table, "\t%s", c)
	}
	fmt.Fprintln(table, "\tMOUNTED AT")
	var why reasons
	hidden := 0
	for _, v := range cover.Volumes {
		if v.Pseudo && !all && !slices.ContainsFunc(v.Cells, func(c control.Cell) bool { return c.Fault }) {
			hidden++
			continue
		}
		fmt.Fprintf(table, "%d\t%s", v.Volume, v.FSType)
		for i, cell := range v.Cells {
			fmt.Fprintf(table, "\t%s", cell.State)
			why.add(fmt.Sprint(v.Volume), cover.Columns[i].String(), cell.State, cell.Reason())
		}
		fmt.Fprintf(table, "\t%s\n", v.Name)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if hidden > 0 {
		fmt.Fprintf(w, "\n%d pseudo file systems are left out; --all lists them\n", hidden)
	}
	if len(cover.OutOfSight) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(cover.OutOfSight, "\n"))
	}
	return errors.Join(why.print(w), printGaps(w, cover, all), printFaults(w, cover), printEpoch(w, cover.Epoch))
}

func printGaps(w io.Writer, cover control.Coverage, all bool) error {
	gaps := cover.Gaps
	if !all {
		gaps = latest(gaps)
	}
	if len(gaps) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nGAP\tFILTER\tVOLUME\tFROM\tTO\tCAUSE\tCLOSED BY")
	for _, g := range gaps {
		volume := g.Name
		if g.Volume != 0 {
			volume = fmt.Sprintf("%d (%s)", g.Volume, g.Name)
		}
		from, closed := moment(g.From), g.ClosedBy
		if g.From.IsZero() {
			from = "not known"
		}
		if closed == "" {
			closed = "-"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", g.ID, g.Filter, volume, from, moment(g.To), g.Cause, closed)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if left := len(cover.Gaps) - len(gaps); left > 0 {
		fmt.Fprintf(w, "%d earlier gaps that are over are left out; --all lists them\n", left)
	}
	if cover.Dropped > 0 {
		fmt.Fprintf(w, "%d older gaps on volumes that had left are not kept any more\n", cover.Dropped)
	}
	return nil
}

// latest returns every gap that is open on a volume that is there, and the last of those that are over.
func latest(gaps []control.Gap) []control.Gap {
	var kept []control.Gap
	over := 0
	for _, g := range slices.Backward(gaps) {
		stands := g.To.IsZero() || g.Fault
		if !stands {
			over++
		}
		if stands || over <= latestGaps {
			kept = append(kept, g)
		}
	}
	slices.SortFunc(kept, func(a, b control.Gap) int { return cmp.Compare(a.ID, b.ID) })
	return kept
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func printFaults(w io.Writer, cover control.Coverage) error {
	text := "everything that should be covered is"
	if !cover.Covered {
		text = "NOT COVERED:\n  " + strings.Join(cover.Faults, "\n  ")
	}
	_, err := fmt.Fprintf(w, "\n%s%s\n", excluded(cover.Excluded), text)
	return err
}

// excluded counts the volumes that a rule keeps filters off, on a line of its own.
func excluded(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 volume is excluded\n"
	}
	return fmt.Sprintf("%d volumes are excluded\n", n)
}
