package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory"
)

const advisoryFilesLong = `List every file of the article for the system on the volume that is mounted at ROOT,
with what is there: its version, the product, the service pack and the branch that the
version is of, and the version that is required.

A file that decides nothing comes with the hotfix and has a version of its own there.
Of kernels that are installed under one name, the one that is there is told by the name
in its version resource.`

const advisoryFilesExit = `  0  the files are listed, whatever they are
  2  could not decide which files are meant, since the system is not known or none of
     the article's; also if the command line is refused, or there is no Windows below ROOT
  3  part of the output could not be written`

// fileList is what one advisory has to list.
type fileList struct {
	Advisory string            `json:"advisory"`
	Files    []advisory.Listed `json:"files"`
	Why      string            `json:"why,omitempty"` // there are none
}

func newAdvisoryFilesCommand() *cobra.Command {
	a := new(adviser)
	return a.choosing(&cobra.Command{
		Use:         "files ROOT",
		Short:       "List the files of an article with what a Windows volume has of them",
		Long:        advisoryFilesLong,
		Example:     "  weir advisory files /mnt/windows",
		Annotations: map[string]string{exitKey: advisoryFilesExit},
		Args:        cobra.ExactArgs(1),

		ValidArgsFunction: completeDirs,
		RunE: func(c *cobra.Command, args []string) error {
			var all []fileList
			var none error
			err := a.each(args[0], func(one *advisory.Advisory, e advisory.Evidence) {
				list := fileList{Advisory: one.ID, Files: []advisory.Listed{}}
				rows, why := one.List(e)
				if list.Files, list.Why = append(list.Files, rows...), why; why != "" {
					none = &weir.Error{Op: "list files of", Kind: weir.KindRefused, Path: one.ID, Err: errors.New(why)}
				}
				all = append(all, list)
			})
			if err != nil {
				return err
			}
			err = a.print(c.OutOrStdout(), map[string]any{"lists": all}, func(w io.Writer) error { return printFileLists(w, all) })
			return errors.Join(err, told(none))
		},
	})
}

func printFileLists(w io.Writer, all []fileList) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ADVISORY\tFILE\tREQUIRED\tFOUND\tPRODUCT\tSERVICE PACK\tBRANCH\tSTATE")
	for _, list := range all {
		for _, l := range list.Files {
			version := "-"
			if l.Found != nil {
				version = l.Found.Version.String()
			}
			state := l.State
			if l.Shipped != "" {
				state += "; " + l.Shipped
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", list.Advisory, l.File.Name, l.File.Version, version, cmp.Or(l.Product, "-"), cmp.Or(l.Level, "-"), cmp.Or(l.Branch, "-"), printable(state))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, list := range all {
		if list.Why != "" {
			fmt.Fprintf(w, "%s: %s\n", list.Advisory, printable(list.Why))
		}
	}
	return nil
}
