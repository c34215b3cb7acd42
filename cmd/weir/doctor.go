package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/probe"
)

const doctorLong = `Try every feature of the kernel, and every privilege, that weir uses. Each
line says which kernel brought the feature, whether it works here, whether
weir mirror needs it, and what weir does without it. Nothing is changed.`

const doctorExit = `  0  weir mirror can run here
  1  it cannot: something that it needs does not work
  2  refused: the command line
  3  failed: part of the output could not be written, for instance`

// diagnosis is what weir doctor --json prints.
type diagnosis struct {
	Kernel   string         `json:"kernel"`
	Runs     bool           `json:"runs"` // whether weir mirror can run here
	Features []probe.Result `json:"features"`
}

func newDoctorCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:         "doctor",
		Short:       "Say what this kernel can do for weir",
		Long:        doctorLong,
		Example:     "  weir doctor\n  weir doctor --json",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{exitKey: doctorExit},
		RunE: func(c *cobra.Command, _ []string) error {
			return doctor(c.OutOrStdout(), asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return command
}

func doctor(w io.Writer, asJSON bool) error {
	results := probe.All()
	missing := probe.Missing(results)
	release, err := probe.Release()
	if err != nil {
		return err
	}
	d := diagnosis{Kernel: release, Runs: len(missing) == 0, Features: results}
	if asJSON {
		err = json.NewEncoder(w).Encode(d)
	} else {
		err = d.print(w, missing)
	}
	if err != nil {
		return err
	}
	return told(unfit(missing))
}

// unfit is the error whose kind gives the status 1: this machine differs from one that weir can run on.
func unfit(missing []probe.Result) error {
	if len(missing) == 0 {
		return nil
	}
	return &weir.Error{Op: "doctor", Kind: weir.KindDiffers, Err: errors.New("weir mirror cannot run here")}
}

func (d diagnosis) print(w io.Writer, missing []probe.Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FEATURE\tSINCE\tWORKS\tNEEDED\tFOR\tWITHOUT IT")
	for _, r := range d.Features {
		works := "yes"
		if !r.Works {
			works = "NO"
		}
		needed := ""
		if r.Needed {
			needed = "needed"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Kernel, works, needed, r.What, r.Without)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, d.verdict(missing))
	return err
}

// verdict says below the table what matters of it.
func (d diagnosis) verdict(missing []probe.Result) string {
	var b strings.Builder
	b.WriteString("\n")
	for _, r := range d.Features {
		if !r.Works {
			fmt.Fprintf(&b, "%s does not work: %s\n", r.Name, r.Detail)
		}
	}
	if len(missing) == 0 {
		fmt.Fprintf(&b, "Linux %s: weir mirror can run here.\n", d.Kernel)
		return b.String()
	}
	names := make([]string, len(missing))
	for i, r := range missing {
		names[i] = r.Name
	}
	fmt.Fprintf(&b, "Linux %s: weir mirror cannot run here, for want of %s.\n", d.Kernel, strings.Join(names, ", "))
	return b.String()
}
