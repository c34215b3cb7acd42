package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/volume"
)

const volumesLong = `List what is mounted, as weir sees it: one volume for each file system,
however many mounts show it, with its label, what it lies on, and how much of
its changes weir can see:

  full        every change that the kernel reports
  local only  changes made on this machine; those of others are found by scans
  scan only   no changes are reported; they are found by scans
  nothing     neither

Numbers of volumes are those of the weir that runs, for other commands to take; if
none runs, or several and --socket names none, they are given anew each time. ON
names the volumes that a stacked one lies on. Mounts in other mount namespaces than
weir's, such as those of containers, are counted; --json lists each with its
namespace's inode number. Where there may be namespaces that weir cannot look into,
that is said on the standard error output.`

func newVolumesCommand() *cobra.Command {
	a := new(asker)
	var all bool
	command := a.command(&cobra.Command{
		Use:     "volumes",
		Short:   "List what is mounted, and what weir sees of it",
		Long:    volumesLong,
		Example: "  weir volumes\n  weir volumes --all --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			infos, epoch, err := a.volumes(c)
			if err != nil {
				return err
			}
			infos = listed(infos, all)
			return a.print(c.OutOrStdout(), infos, func(w io.Writer) error {
				if err := printVolumes(w, infos); err != nil || epoch == 0 {
					return err
				}
				return printEpoch(w, epoch)
			})
		},
	})
	command.Flags().Lookup("json").Usage = "print one JSON array"
	command.Flags().BoolVar(&all, "all", false, "also list pseudo file systems (proc, sysfs, ...)")
	return command
}

// volumes lists those of the weir that runs, if one does, or else what this process sees; epoch is 0 then.
func (a *asker) volumes(c *cobra.Command) (infos []weir.VolumeInfo, epoch uint64, err error) {
	client, err := a.client(c)
	if err != nil && !c.Flags().Changed("socket") {
		logger := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		listing, err := volume.List(c.Context(), volume.Options{Logger: logger})
		for _, sentence := range listing.OutOfSight {
			fmt.Fprintln(c.ErrOrStderr(), sentence)
		}
		return listing.Volumes, 0, err
	}
	var list control.Volumes
	if err == nil {
		list, err = client.Volumes(c.Context())
	}
	for _, sentence := range list.OutOfSight {
		fmt.Fprintln(c.ErrOrStderr(), sentence)
	}
	for _, v := range list.Volumes {
		infos = append(infos, v.Info)
	}
	return infos, list.Epoch, err
}

// listed leaves pseudo file systems out, unless all are wanted.
func listed(infos []weir.VolumeInfo, all bool) []weir.VolumeInfo {
	kept := []weir.VolumeInfo{}
	for _, info := range infos {
		if all || !info.Pseudo {
			kept = append(kept, info)
		}
	}
	return kept
}

func printVolumes(w io.Writer, infos []weir.VolumeInfo) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VOLUME\tTYPE\tSOURCE\tLABEL\tON\tSIGHT\tMOUNTED AT")
	for _, info := range infos {
		sight := info.Sight.String()
		if info.ReadOnly {
			sight += ", read-only"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t", info.ID, weir.QuotePath(info.Identity.FSType),
			dash(info.Source), dash(info.Label), layers(info), sight)
		printMounts(table, info.Mounts)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return printReasons(w, infos)
}

// printMounts puts the first place on the volume's own line and each other on one of its own.
func printMounts(table io.Writer, mounts []weir.Mount) {
	for i, place := range places(mounts) {
		if i > 0 {
			fmt.Fprint(table, "\t\t\t\t\t\t")
		}
		fmt.Fprintln(table, place)
	}
	if len(mounts) == 0 {
		fmt.Fprintln(table, "-")
	}
}

// places describes mounts, a line for each place. Namespaces that show the same directory at the same place
// are counted, since each container and many a service has a copy of every mount.
func places(mounts []weir.Mount) []string {
	var lines []string
	own, others := map[string]bool{}, map[string]int{}
	for _, m := range mounts {
		line := place(m)
		if !own[line] && others[line] == 0 {
			lines = append(lines, line)
		}
		if m.Own {
			own[line] = true
		} else {
			others[line]++
		}
	}
	for i, line := range lines {
		lines[i] += elsewhere(own[line], others[line])
	}
	return lines
}

// elsewhere says that a place is one of other mount namespaces than weir's.
func elsewhere(own bool, others int) string {
	text := fmt.Sprintf("in %d other namespaces", others)
	switch {
	case others == 0:
		return ""
	case others == 1:
		text = "in another namespace"
	}
	if own {
		text = "and " + text
	}
	return " [" + text + "]"
}

func place(m weir.Mount) string {
	at := weir.QuotePath(m.Point)
	if m.Point == "" {
		at = "(out of reach)"
	}
	if m.Root != "/" {
		at += " (its " + weir.QuotePath(m.Root) + ")"
	}
	return at
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return weir.QuotePath(s)
}

// layers names the volumes that a stacked one lies on.
func layers(info weir.VolumeInfo) string {
	if !info.Layer {
		return "-"
	}
	names := make([]string, len(info.Lower))
	for i, id := range info.Lower {
		names[i] = fmt.Sprint(id)
	}
	if len(names) == 0 {
		return "?"
	}
	return strings.Join(names, ",")
}

// printReasons says below the table why the sight of a volume is not full.
func printReasons(w io.Writer, infos []weir.VolumeInfo) error {
	gap := "\n"
	for _, info := range infos {
		if info.SightReason == "" || info.Pseudo {
			continue
		}
		if _, err := fmt.Fprintf(w, "%svolume %d, %s: %s\n", gap, info.ID, info.Sight, info.SightReason); err != nil {
			return err
		}
		gap = ""
	}
	return nil
}
