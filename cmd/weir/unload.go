package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
)

const unloadLong = `Unload a filter of the running weir, and wait until its last instance has ended.
The filter may refuse, and says why; with --force it is unloaded nevertheless, and
what does not end by itself is left behind. Who did so is in the log of the running
weir, and in the gaps that weir coverage lists. What an unloading waits for that
takes longer is told on standard error.`

func newUnloadCommand() *cobra.Command {
	a := new(asker)
	var force bool
	command := a.command(&cobra.Command{
		Use:               "unload FILTER",
		Short:             "Unload a filter",
		Long:              unloadLong,
		Example:           "  weir unload replicate --force    stand still until weir load replicate",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.complete(completer{loadedFilters}),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			path := "/v1/filters/" + url.PathEscape(args[0])
			if force {
				path += "?mandatory=true"
			}
			var list control.Filters
			if err := unload(c, client, args[0], path, &list); err != nil {
				return mistaken(err)
			}
			return a.print(c.OutOrStdout(), list, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "filter %s is unloaded\n", weir.QuotePath(args[0]))
				return err
			})
		},
	})
	command.Flags().BoolVar(&force, "force", false, "the filter may not refuse")
	return command
}

// unload asks for the unloading of a filter, and says from time to time what keeps it.
func unload(c *cobra.Command, client *control.Client, filter, path string, list *control.Filters) error {
	done := make(chan error, 1)
	go func() { done <- client.Do(c.Context(), http.MethodDelete, path, nil, list) }()
	told := ""
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Second):
		}
		if why := keepers(c.Context(), client, filter); why != told {
			told = why
			fmt.Fprintf(lines{c.ErrOrStderr()}, "weir: filter %s is not unloaded yet: it waits for %s\n", weir.QuotePath(filter), why)
		}
	}
}

// keepers says what the end of a filter waits for, as far as its instances tell.
func keepers(ctx context.Context, client *control.Client, filter string) string {
	var list control.Instances
	if err := client.Get(ctx, "/v1/instances", url.Values{"filter": {filter}}, &list); err != nil {
		var e *weir.Error
		if errors.As(err, &e) && e.Kind == weir.KindAbsent {
			return "programs that talk to it"
		}
		return "what cannot be told: " + err.Error()
	}
	var kept []string
	for _, in := range list.Instances {
		if in.State != "draining" {
			continue
		}
		why := "its teardown"
		switch {
		case in.Hung:
			why = "its set-up, which has not returned"
		case in.Why != "":
			why = in.Why
		}
		kept = append(kept, fmt.Sprintf("instance %s on volume %d (%s): %s", in.Instance, in.Volume, in.Name, why))
	}
	if len(kept) == 0 {
		return "its answer whether it may be unloaded"
	}
	return strings.Join(kept, "; ")
}
