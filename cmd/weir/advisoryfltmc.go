package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory/fltmc"
)

const advisoryFltmcLong = `Read what fltmc has printed on a Windows machine, and say on which volumes a filter has
no instance that has some elsewhere: what the defect of KB 975759 looks like.

FILE holds what was saved of fltmc instances, and also of fltmc filters and fltmc
volumes, one after the other, as text of any Windows version in UTF-8 or UTF-16; - is
the standard input. Without fltmc volumes a volume on which no filter has an instance is
not known, nor which file system any has.

A filter may have chosen not to be on a volume. Where something speaks for that, it is
said, and such a volume is listed apart.`

const advisoryFltmcExit = `  0  no volume is missed without an explanation
  1  some are; also if the listings contradict each other, or what is listed twice differs
  2  could not decide: there is no listing of instances, or the text is not understood,
     which names the line; also if the command line is refused
  3  part of the output could not be written`

// missedList is what a text of fltmc's tells.
type missedList struct {
	Missed         []fltmc.Missed        `json:"missed"`    // without an explanation
	Explained      []fltmc.Missed        `json:"explained"` // with one
	Contradictions []fltmc.Contradiction `json:"contradictions"`
}

func newAdvisoryFltmcCommand() *cobra.Command {
	a := new(answerer)
	command := &cobra.Command{
		Use:         "fltmc FILE",
		Short:       "Find volumes that filters have missed in saved output of fltmc",
		Long:        advisoryFltmcLong,
		Example:     "  (fltmc filters & fltmc instances & fltmc volumes) > saved.txt     on Windows; then\n  weir advisory fltmc saved.txt",
		Annotations: map[string]string{exitKey: advisoryFltmcExit},
		Args:        cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readText(c.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			list, err := fltmc.Parse(text)
			if err == nil && len(list.Instances) == 0 {
				err = errors.New("it lists no instances")
			}
			if err != nil {
				return inFile("read", args[0], "save what fltmc instances prints, too", err)
			}
			missed := missedOf(list)
			if err := a.print(c.OutOrStdout(), missed, func(w io.Writer) error { return printMissed(w, list, missed) }); err != nil {
				return err
			}
			return missed.verdict()
		},
	}
	a.flag(command)
	return command
}

// readText reads a file, or the standard input.
func readText(stdin io.Reader, path string) (text []byte, err error) {
	if path == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, fltmc.MaxSize+1))
	} else {
		text, err = readBounded(path, fltmc.MaxSize)
	}
	if err != nil {
		return nil, inFile("read", path, "name a file with what fltmc has printed", err)
	}
	return text, nil
}

func missedOf(list *fltmc.Listing) missedList {
	l := missedList{Missed: []fltmc.Missed{}, Explained: []fltmc.Missed{}, Contradictions: append([]fltmc.Contradiction{}, list.Contradictions()...)}
	for _, m := range list.Missed() {
		if m.Reason == fltmc.Unexplained || m.Reason == fltmc.UnknownFileSystem { // The latter is a lack of knowledge.
			l.Missed = append(l.Missed, m)
		} else {
			l.Explained = append(l.Explained, m)
		}
	}
	return l
}

func (l missedList) verdict() error {
	if len(l.Missed) == 0 && len(l.Contradictions) == 0 {
		return nil
	}
	return told(&weir.Error{Op: "fltmc", Kind: weir.KindDiffers, Err: errors.New("volumes are missed")})
}

func printMissed(w io.Writer, list *fltmc.Listing, l missedList) error {
	if len(list.Volumes) == 0 {
		fmt.Fprint(w, "There is no listing of fltmc volumes: volumes on which no filter has an instance are not known.\n\n")
	}
	if len(l.Missed) == 0 {
		fmt.Fprintln(w, "No volume is missed without an explanation.")
	}
	if err := printMissedTable(w, "MISSED", l.Missed); err != nil {
		return err
	}
	if len(l.Missed) > 0 {
		fmt.Fprintln(w, "\nThis is what the defect of KB 975759 looks like: weir advisory check says whether the\nmachine's disk has it. A filter may also have chosen not to be there.")
	}
	if len(l.Explained) > 0 {
		fmt.Fprintln(w)
	}
	if err := printMissedTable(w, "EXPLAINED", l.Explained); err != nil {
		return err
	}
	printList(w, "The listings contradict each other", l.Contradictions, func(c fltmc.Contradiction) string {
		return fmt.Sprintf("line %d: %s", c.Line, printable(c.Text))
	})
	return nil
}

func printMissedTable(w io.Writer, title string, list []fltmc.Missed) error {
	if len(list) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s VOLUME\tDEVICE\tFILE SYSTEM\tFILTER\tIS ON\tWHY\n", title)
	for _, m := range list {
		on := "-"
		if m.Of > 0 {
			on = fmt.Sprintf("%d of %d", m.On, m.Of)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(printable(m.Volume.Name()), "-"), cmp.Or(printable(m.Volume.Device), "-"), cmp.Or(printable(m.Volume.FileSystem), "-"), printable(m.Filter), on, cmp.Or(string(m.Reason), "-"))
	}
	return table.Flush()
}
