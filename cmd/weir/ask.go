package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir/control"
)

// asker is what commands have in common that ask a running weir.
type asker struct {
	answerer
	socket string
}

const askExit = `  0  done
  2  refused: the command line, or the running weir; also if none runs, or several
  3  failed`

// command adds the flags to a command, and the exit statuses unless it has its own.
func (a *asker) command(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.socket, "socket", "", "ask the weir that serves `SOCKET` (default: the one that runs)")
	a.flag(c)
	if c.Annotations == nil {
		c.Annotations = map[string]string{exitKey: askExit}
	}
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	return c
}

// client returns the weir that is asked.
func (a *asker) client(c *cobra.Command) (*control.Client, error) {
	if a.socket != "" {
		return control.NewClient(a.socket), nil
	}
	return control.Find(c.Context())
}

// completer offers values that the running weir knows, for each argument in turn; nil where a file may stand.
type completer []func(context.Context, *control.Client) []string

const completionPatience = time.Second

func (a *asker) complete(of completer) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
		defer cancel()
		c.SetContext(ctx)
		if len(args) >= len(of) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client, err := a.client(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := slices.DeleteFunc(of[len(args)](ctx, client), func(name string) bool { return !strings.HasPrefix(name, begun) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// loadedFilters, loadableFilters and knownVolumes are for completers. What cannot be asked offers nothing.
func loadedFilters(ctx context.Context, client *control.Client) (names []string) {
	var list control.Filters
	_ = client.Get(ctx, "/v1/filters", nil, &list)
	for _, f := range list.Filters {
		names = append(names, f.Name)
	}
	return names
}

func loadableFilters(ctx context.Context, client *control.Client) []string {
	var list control.Filters
	_ = client.Get(ctx, "/v1/filters", nil, &list)
	return list.Loadable
}

func knownVolumes(ctx context.Context, client *control.Client) (names []string) {
	list, _ := client.Volumes(ctx)
	for _, v := range list.Volumes {
		if v.Info.Pseudo {
			continue
		}
		names = append(names, fmt.Sprint(v.Info.ID))
		for _, m := range v.Info.Mounts {
			if m.Own && m.Point != "" {
				names = append(names, m.Point)
			}
		}
	}
	return names
}

// printEpoch says below a listing of which moment it is.
func printEpoch(w io.Writer, epoch uint64) error {
	_, err := fmt.Fprintf(w, "\nepoch %d\n", epoch)
	return err
}

// reasons collects why instances are not simply attached, and tells each reason once.
type reasons struct {
	order   []string
	volumes map[string][]string
}

func (r *reasons) add(volume, instance, state, why string) {
	if why == "" {
		return
	}
	if r.volumes == nil {
		r.volumes = map[string][]string{}
	}
	line := fmt.Sprintf("%s %s: %s", instance, state, why)
	if r.volumes[line] == nil {
		r.order = append(r.order, line)
	}
	r.volumes[line] = append(r.volumes[line], volume)
}

func (r *reasons) print(w io.Writer) error {
	gap := "\n"
	for _, line := range r.order {
		word := "volume "
		if len(r.volumes[line]) > 1 {
			word = "volumes "
		}
		if _, err := fmt.Fprintf(w, "%s%s%s: %s\n", gap, word, strings.Join(r.volumes[line], ", "), line); err != nil {
			return err
		}
		gap = ""
	}
	return nil
}
