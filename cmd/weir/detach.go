package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
)

const detachLong = `Take an instance of a filter away from a volume, and wait until it has ended. It
stays away until weir attach, or until the volume is mounted anew, or the filter
loaded anew; weir coverage counts it as a fault until then, if the filter is to cover
the volume. One that serves who comes, such as activity, is no fault. Where the filter
declines the volume, or a rule excludes it, there is nothing to detach, and that is
refused.

VOLUME is a number that weir volumes shows, a mount point, a device, or a label.
INSTANCE is the name of one of several that the filter has; without it the default.`

func newDetachCommand() *cobra.Command {
	a := new(asker)
	return a.command(&cobra.Command{
		Use:               "detach FILTER VOLUME [INSTANCE]",
		Short:             "Detach an instance of a filter from a volume",
		Long:              detachLong,
		Example:           "  weir detach replicate /mnt/data\n  weir detach replicate 17",
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: a.complete(completer{loadedFilters, knownVolumes}),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			volume, err := volumeNamed(c.Context(), client, args[1])
			if err != nil {
				return err
			}
			query := url.Values{"filter": {args[0]}, "volume": {fmt.Sprint(volume.Info.ID)}}
			var list control.Instances
			if err := client.Get(c.Context(), "/v1/instances", query, &list); err != nil {
				return detaching(mistaken(err))
			}
			in, err := meant(list.Instances, args)
			if err != nil {
				return err
			}
			if err := client.Do(c.Context(), http.MethodDelete, "/v1/instances/"+in.ID, nil, &in); err != nil {
				return mistaken(err)
			}
			return a.print(c.OutOrStdout(), in, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "instance %s is detached from volume %d (%s)\n", in.Instance, in.Volume, in.Name)
				return err
			})
		},
	})
}

// detaching says what an error of the question that precedes the request is about.
func detaching(err error) error {
	var e *weir.Error
	if errors.As(err, &e) {
		e.Op = "detach"
	}
	return err
}

// meant returns the instance that args name, or else the default.
func meant(list []control.Instance, args []string) (control.Instance, error) {
	for _, in := range list {
		if len(args) > 2 && in.Instance == args[2] || len(args) == 2 && in.Default {
			return in, nil
		}
	}
	return control.Instance{}, detaching(&weir.Error{
		Kind: weir.KindRefused, Path: args[0], Err: errors.New("it has no such instance on the volume"),
		Hint: "weir instances -f " + args[0] + " --all lists them",
	})
}
