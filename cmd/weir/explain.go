package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/internal/sys/mount"
)

const explainLong = `Say whether the running weir would see something happen at PATH: on which volume,
by which instances in which order, by what means, and what those cannot see; or why
it would not. If PATH is on a layer, such as an overlay, also what is seen on the
volumes below, which an event reaches when the layer takes it there.

What a filter does nothing with is not seen, such as what is beside SOURCE, or left
out of the mirror by a pattern. If PATH does not exist, it is said of what is made on
the way to it.`

const explainExit = `  0  it would be seen
  1  it would not
  2  refused: the command line, or the running weir; also if none runs, or several
  3  failed`

func newExplainCommand() *cobra.Command {
	a := new(asker)
	return a.command(&cobra.Command{
		Use:         "explain PATH",
		Short:       "Say whether an event at PATH would be seen, by whom, or why not",
		Long:        explainLong,
		Example:     "  weir explain /srv/data/report.txt\n  weir explain --json .",
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{exitKey: explainExit},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			x, err := explain(c, client, args[0])
			if err != nil {
				return err
			}
			if err := a.print(c.OutOrStdout(), x, func(w io.Writer) error { return printExplanation(w, x) }); err != nil {
				return err
			}
			if !x.Seen {
				return told(&weir.Error{Op: "explain", Kind: weir.KindDiffers, Path: args[0], Err: errors.New(x.Why)})
			}
			return nil
		},
	})
}

// explain asks about a path, which has to mean the same here and there.
func explain(c *cobra.Command, client *control.Client, path string) (x control.Explanation, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return x, err
	}
	var status control.Status
	if err := client.Get(c.Context(), "/v1/status", nil, &status); err != nil {
		return x, err
	}
	here, err := mount.OwnInode()
	if err != nil {
		return x, err
	}
	if here != status.Namespace {
		return x, &weir.Error{Op: "explain", Kind: weir.KindRefused, Path: path,
			Err:  errors.New("the running weir is in another mount namespace, where the path may mean something else"),
			Hint: fmt.Sprintf("ask there: nsenter -t %d -m weir explain PATH", status.PID)}
	}
	return client.Explain(c.Context(), path)
}

func printExplanation(w io.Writer, x control.Explanation) error {
	what := "an event at " + x.Path
	if x.Nearest != "" {
		what = "there is no such path; what is made in " + x.Nearest + " on the way to it"
	}
	switch {
	case !x.Seen:
		fmt.Fprintf(w, "%s would NOT be seen: %s\n", what, x.Why)
	case !x.Passes[0].Seen:
		fmt.Fprintf(w, "%s would be seen only on volumes below, if it reaches them: %s\n", what, x.Why)
	default:
		fmt.Fprintf(w, "%s would be seen\n", what)
	}
	for _, p := range x.Passes {
		if err := printPass(w, p, x.Why); err != nil {
			return err
		}
	}
	return printEpoch(w, x.Epoch)
}

// printPass prints a volume, without the reasons that have been told already, and each of the others once.
func printPass(w io.Writer, p control.Pass, told string) error {
	fmt.Fprintf(w, "\nvolume %d (%s, %s on %s)", p.Volume, p.Name, p.FSType, cmp.Or(p.Source, "nothing"))
	switch {
	case p.Above != 0:
		fmt.Fprintf(w, ": what reaches it from volume %d", p.Above)
	case p.Altitude != (weir.Altitude{}):
		fmt.Fprintf(w, ": a layer at altitude %s", p.Altitude)
	}
	fmt.Fprintln(w)
	if p.Unfound != "" {
		fmt.Fprintf(w, "  what lies below could not be found, and is left out: %s\n", p.Unfound)
	}
	for _, m := range p.Marks {
		if slices.ContainsFunc(p.Instances, func(in control.Explained) bool { return in.Frame == m.Frame && !in.Seen && in.Why != "" }) {
			m.Why = "" // The instance has it, in other words.
		}
		fmt.Fprintf(w, "  frame %d: %s\n", m.Frame, means(m))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, in := range p.Instances {
		if strings.Contains(told, in.Why) {
			in.Cell.Why = ""
		}
		fmt.Fprintf(table, "  %d.\t%s\taltitude %s\tframe %d\t%s%s\n", i+1, in.Column, in.Altitude, in.Frame, in.Cell, without(in.Skips))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(p.Blind) > 0 {
		fmt.Fprintf(w, "  not seen there:\n    %s\n", strings.Join(p.Blind, "\n    "))
	}
	return nil
}

// without says what an instance does not hear of.
func without(skips string) string {
	if skips == "" {
		return ""
	}
	return ", without " + skips
}

// means says how a frame reaches a volume, or why it does not.
func means(l control.Link) string {
	text := l.State
	if l.Plane != "" {
		text = "observed by " + l.Plane
	}
	if l.Why != "" {
		text += ": " + l.Why
	}
	return text
}
