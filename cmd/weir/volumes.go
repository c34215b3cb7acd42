package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/manager"
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
none runs, or this user may not ask it, or several run and --socket names none, they
are given anew each time: no command takes them. The standard error output says so
of a weir that is not asked. ON names the volumes that a stacked one lies on, or is ?
where that is not known. Mounts in other mount namespaces than weir's, such as those
of containers, are counted; --json lists each with its namespace's inode number. A
volume that is leaving is mounted nowhere any more, and instances of filters have yet
to end on it. One that is detached has been unmounted by umount -l, and lives on until
the last file on it is closed; a weir that runs knows those that left in its time.
Where there may be namespaces that weir cannot look into, that is said on the standard
error output.`

// volumeList is what there is, of the weir that runs or as this process sees it.
type volumeList struct {
	Epoch      uint64         `json:"epoch,omitempty"`  // if a weir runs
	Complete   bool           `json:"complete"`         // every volume that is in sight is known
	Missed     string         `json:"missed,omitempty"` // why not
	OutOfSight []string       `json:"out_of_sight"`     // sentences: where there may be volumes that are not known
	Volumes    []listedVolume `json:"volumes"`

	Detached []volume.Detached `json:"detached"` // that no mount shows any more and that live on, if a weir runs
}

type listedVolume struct {
	weir.VolumeInfo
	Leaving bool `json:"leaving"` // its last mount is gone, and instances remain

	Excluded manager.Exclusion `json:"excluded,omitzero"` // what keeps filters off it
}

func newVolumesCommand() *cobra.Command {
	a := new(asker)
	var all bool
	command := a.command(&cobra.Command{
		Use:     "volumes",
		Short:   "List what is mounted, and what weir sees of it",
		Long:    volumesLong,
		Example: "  weir volumes\n  weir volumes --all --json | jq .volumes[].source",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := a.volumes(c)
			for _, sentence := range list.OutOfSight {
				fmt.Fprintln(c.ErrOrStderr(), sentence)
			}
			if err != nil {
				return err
			}
			if !all {
				list.Volumes = slices.DeleteFunc(list.Volumes, func(v listedVolume) bool { return v.Pseudo })
			}
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error { return printVolumes(w, list) })
		},
	})
	command.Flags().BoolVar(&all, "all", false, "also list pseudo file systems (proc, sysfs, ...)")
	return command
}

// volumes lists those of the weir that runs, if one does, or else what this process sees.
func (a *asker) volumes(c *cobra.Command) (volumeList, error) {
	client, err := a.client(c)
	switch {
	case err == nil:
		return volumesOf(c, client)
	case c.Flags().Changed("socket"):
		return volumeList{}, err
	case !errors.Is(err, control.ErrNoneRuns):
		fmt.Fprintf(c.ErrOrStderr(), "weir: the numbers of volumes are of this command alone: %v\n", err)
	}
	list := volumeList{Complete: true, OutOfSight: []string{}, Volumes: []listedVolume{}, Detached: []volume.Detached{}}
	logger := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	listing, err := volume.List(c.Context(), volume.Options{Logger: logger})
	list.OutOfSight = append(list.OutOfSight, listing.OutOfSight...)
	for _, info := range listing.Volumes {
		list.Volumes = append(list.Volumes, listedVolume{VolumeInfo: info})
	}
	return list, err
}

// volumesOf lists those of a weir that runs.
func volumesOf(c *cobra.Command, client *control.Client) (volumeList, error) {
	answer, err := client.Volumes(c.Context())
	list := volumeList{answer.Epoch, answer.Complete, answer.Missed, answer.OutOfSight, []listedVolume{}, answer.Detached}
	for _, v := range answer.Volumes {
		list.Volumes = append(list.Volumes, listedVolume{v.Info, v.Leaving, v.Excluded})
	}
	return list, err
}

func printVolumes(w io.Writer, list volumeList) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VOLUME\tTYPE\tSOURCE\tLABEL\tON\tSIGHT\tMOUNTED AT")
	for _, v := range list.Volumes {
		sight := v.Sight.String()
		if v.ReadOnly {
			sight += ", read-only"
		}
		if v.Leaving {
			sight += ", leaving"
		}
		if v.Excluded.Why != "" {
			sight += ", excluded"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t", v.ID, weir.QuotePath(v.Identity.FSType),
			dash(v.Source), dash(v.Label), layers(v.VolumeInfo), sight)
		printMounts(table, v.Mounts)
	}
	for _, d := range list.Detached {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t-\tdetached\t-\n", d.Info.ID, weir.QuotePath(d.Info.Identity.FSType), dash(d.Info.Source), dash(d.Info.Label))
	}
	if err := errors.Join(table.Flush(), printReasons(w, list)); err != nil {
		return err
	}
	if !list.Complete {
		fmt.Fprintf(w, "\nnot all volumes are known: %s\n", cmp.Or(list.Missed, "they are being listed"))
	}
	if list.Epoch == 0 {
		return nil
	}
	return printEpoch(w, list.Epoch)
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

// printReasons says below the table what is special about volumes: why the sight of one is not full, for instance.
func printReasons(w io.Writer, list volumeList) error {
	var lines []string
	for _, v := range list.Volumes {
		var reasons []string
		if v.SightReason != "" && !v.Pseudo {
			reasons = append(reasons, v.Sight.String()+": "+v.SightReason)
		}
		if v.LowerReason != "" {
			reasons = append(reasons, "what it lies on is not known: "+v.LowerReason)
		}
		if v.Excluded.Why != "" {
			reasons = append(reasons, fmt.Sprintf("excluded: %s, since %s", v.Excluded.Why, moment(v.Excluded.Since)))
		}
		if v.Former != 0 {
			reasons = append(reasons, fmt.Sprintf("which was volume %d: it lived on while it was mounted nowhere", v.Former))
		}
		for _, reason := range reasons {
			lines = append(lines, fmt.Sprintf("volume %d, %s", v.ID, reason))
		}
	}
	for _, d := range list.Detached {
		lines = append(lines, fmt.Sprintf("volume %d, detached since %s: it was at %s, and lives on while something on it is open; what is written to it is not seen",
			d.Info.ID, moment(d.Left), strings.Join(places(d.Info.Was), ", ")))
	}
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	return err
}
