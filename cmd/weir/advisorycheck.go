package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory"
)

const advisoryCheckLong = `Decide whether the Windows installation on the volume that is mounted at ROOT is
affected. The volume may be mounted for reading only; ROOT may be the Windows directory
of it, where there are several. The verdict is one of

  AFFECTED              no file has the change
  FIXED                 every file has it
  NOT-APPLICABLE        the article is about other systems
  PREREQUISITE-MISSING  a service pack has to be installed first
  INCONSISTENT          some of the files have the change, and others have it not
  PENDING-RESTART       the next start makes them fixed that are not, or the reverse
  DAMAGED               the registry says that the hotfix is installed, the files do not
  UNKNOWN               something that decides could not be read, or is not known

What a file is counts more than what the registry says of it, and no date counts.`

const advisoryCheckExit = `  0  not affected: FIXED or NOT-APPLICABLE
  1  affected, or something is to be done: AFFECTED, PREREQUISITE-MISSING, INCONSISTENT,
     PENDING-RESTART or DAMAGED, of any advisory
  2  could not decide: UNKNOWN; also if the command line is refused, or there is no
     Windows below ROOT
  3  part of the output could not be written`

func newAdvisoryCheckCommand() *cobra.Command {
	a := new(adviser)
	return a.choosing(&cobra.Command{
		Use:         "check ROOT",
		Short:       "Decide whether a Windows volume is affected, and by what that is known",
		Long:        advisoryCheckLong,
		Example:     "  mount -o ro /dev/sdb1 /mnt/windows\n  weir advisory check /mnt/windows",
		Annotations: map[string]string{exitKey: advisoryCheckExit},
		Args:        cobra.ExactArgs(1),

		ValidArgsFunction: completeDirs,
		RunE: func(c *cobra.Command, args []string) error {
			var all []advisory.Finding
			err := a.each(args[0], func(one *advisory.Advisory, e advisory.Evidence) { all = append(all, one.Decide(e)) })
			if err != nil {
				return err
			}
			err = a.print(c.OutOrStdout(), map[string]any{"findings": all}, func(w io.Writer) error { return printFindings(w, all) })
			return errors.Join(err, told(decided(all)))
		},
	})
}

// decided is the error whose kind gives the status.
func decided(all []advisory.Finding) error {
	var unknown error
	for _, f := range all {
		switch {
		case f.Verdict.Affects():
			return &weir.Error{Op: "check", Kind: weir.KindDiffers, Err: errors.New(string(f.Verdict))}
		case f.Verdict == advisory.Unknown:
			unknown = &weir.Error{Op: "check", Kind: weir.KindRefused, Err: errors.New(string(f.Verdict))}
		}
	}
	return unknown
}

func printFindings(w io.Writer, all []advisory.Finding) error {
	for i, f := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := printFinding(w, f); err != nil {
			return err
		}
	}
	return nil
}

func printFinding(w io.Writer, f advisory.Finding) error {
	fmt.Fprintf(w, "%s: %s\n", f.Advisory, f.Verdict)
	for _, reason := range f.Reasons {
		fmt.Fprintf(w, "  %s\n", printable(reason))
	}
	fmt.Fprintf(w, "\nSystem: %s\n", described(f.Evidence.System))
	rows := [][]string{{"FILE", "VERSION", "BRANCH", "MACHINE", "NEEDED", "CONDITION"}}
	for _, s := range f.Files {
		found := f.Evidence.At(s.Installed)
		version, machine := "-", "-"
		if found.Problem == "" {
			version, machine = found.Version.String(), found.Machine.String()
		}
		rows = append(rows, []string{weir.QuotePath(found.Path), version, cmp.Or(s.Branch, "-"), machine, s.Required.String(), printable(condition(s))})
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	printList(w, "Records", f.Evidence.Packages, func(p advisory.Package) string { return fmt.Sprintf("%s: %s", printable(p.Key), p.State) })
	printList(w, "Pending renames", f.Evidence.Renames, func(r advisory.Rename) string { return printable(renaming(r)) })
	printList(w, "To do", f.Actions, printable)
	printList(w, "Notes", f.Notes, printable)
	return nil
}

// condition says how it is with a file, and why.
func condition(s advisory.State) string {
	text := s.Condition + ": " + s.Why
	if s.Next != "" {
		text += "; after the next start: " + s.Next + ": " + s.NextWhy
	}
	if s.Shipped != "" {
		text += "; " + s.Shipped
	}
	return text
}

// renaming says what the next start does.
func renaming(r advisory.Rename) string {
	if r.To == "" {
		return r.From + " is deleted"
	}
	return r.From + " is renamed to " + r.To
}

func described(s advisory.System) string {
	if (s.NT == advisory.NT{}) {
		return "not known"
	}
	var parts []string
	for _, part := range []string{s.Name, fmt.Sprintf("version %s.%d", s.NT, s.Build), s.ServicePack, string(s.Type), s.BuildLab} {
		if part != "" {
			parts = append(parts, printable(part))
		}
	}
	return strings.Join(parts, ", ")
}

func printList[T any](w io.Writer, title string, list []T, text func(T) string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, one := range list {
		fmt.Fprintf(w, "  %s\n", text(one))
	}
}
