package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/filters/activity"
)

const watchLong = `Show what happens on the volumes of the running weir, as it happens: completed
operations, with the process that did them and the names. With PATH, what happens
at or below it, also on volumes that are mounted there; with VOLUME, a number, a
device or a label, what happens on that one, until it leaves.

Operations on one file by one process that were not yet read are one line, such as
create|modify|close. There is no column for results: what observes volumes sees
what has succeeded, and only planes that intercept see failures. A process that has
gone before its name could be read is called "exited". With --comm, such operations
are counted as undecided, which is told: short processes are often gone so soon.
--comm exited shows them. A name is the one that the directory has when it is looked
up, right after the operation; what has none any more is told as far as it is known.

What this command itself does is left out. What it could not show in time is
counted, and told; so is the moment between the mount of a volume by another
program and its mark, of which nothing is seen. The filter "activity" does the
work: it is loaded for this, and unloaded when nobody watches any more, unless it
was loaded already.`

const watchExample = `  weir watch                              everything that changes
  weir watch /srv/data --op create,delete
  weir watch . --comm rsync --json
  weir watch 17 --reads                   also who opens and reads what`

const watchExit = `  0  interrupted, or VOLUME has left
  2  refused: the command line, or the running weir; also if none runs, or several
  3  failed, or the running weir has ended`

// watchFlags is a command line of weir watch.
type watchFlags struct {
	asker
	ops   string
	reads bool
	pid   int
	comm  string
}

func newWatchCommand() *cobra.Command {
	f := new(watchFlags)
	c := f.command(&cobra.Command{
		Use:         "watch [PATH|VOLUME]",
		Short:       "Show what happens on volumes, live",
		Long:        watchLong,
		Example:     watchExample,
		Annotations: map[string]string{exitKey: watchExit},
		Args:        cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.request(c)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			c.SetContext(ctx)
			client, err := f.client(c)
			if err == nil && len(args) > 0 {
				err = aim(c, client, args[0], &r)
			}
			if err != nil {
				return err
			}
			return f.watch(ctx, c, client, r)
		},
	})
	p := c.Flags()
	p.StringVar(&f.ops, "op", "", "only `OPERATIONS`: create, delete, rename, modify, close, attrib, open, access, with commas between")
	p.BoolVar(&f.reads, "reads", false, "also what is opened and read; every reader of the volumes pays for that")
	p.IntVar(&f.pid, "pid", 0, "only what the process `PID` does")
	p.StringVar(&f.comm, "comm", "", "only what processes of this `NAME` do")
	p.Lookup("json").Usage = "print a JSON object per line"
	_ = c.RegisterFlagCompletionFunc("op", completeOps) // The flags exist.
	_ = c.RegisterFlagCompletionFunc("pid", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("comm", cobra.NoFileCompletions)
	return c
}

// completeOps offers one more operation behind those that are there.
func completeOps(_ *cobra.Command, _ []string, begun string) (offers []string, _ cobra.ShellCompDirective) {
	there := begun[:strings.LastIndexByte(begun, ',')+1]
	for op := weir.OpCreate; op <= weir.OpAccess; op <<= 1 {
		if name := there + op.String(); strings.HasPrefix(name, begun) {
			offers = append(offers, name)
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// request reads the flags.
func (f *watchFlags) request(c *cobra.Command) (r activity.Request, err error) {
	if c.Flags().Changed("pid") && f.pid <= 0 {
		return r, watchRefused("--pid", errors.New("it is no number of a process"), "give one above 0")
	}
	r = activity.Request{Reads: f.reads, PID: f.pid, Process: f.comm}
	if r.Ops, err = weir.ParseOps(f.ops); err != nil {
		return r, ofFlag("op", err)
	}
	if f.ops != "" && r.Ops == 0 {
		return r, watchRefused("--op", errors.New("it names no operation"), "see weir watch --help")
	}
	if reading := r.Ops &^ weir.Changes; reading != 0 && !f.reads {
		return r, watchRefused("--op", fmt.Errorf("%s changes nothing, and is not observed", reading), "add --reads")
	}
	return r, nil
}

func watchRefused(what string, err error, hint string) error {
	return &weir.Error{Op: "use " + what, Kind: weir.KindRefused, Err: err, Hint: hint}
}

// aim finds out what an argument means: a volume by its number, device or label, or a path.
func aim(c *cobra.Command, client *control.Client, name string, r *activity.Request) error {
	list, err := client.Volumes(c.Context())
	if err != nil {
		return err
	}
	var found []control.Volume
	for _, v := range list.Volumes {
		info := v.Info
		info.Mounts = nil // A mount point is a path.
		if named(info, name) && !v.Leaving {
			found = append(found, v)
		}
	}
	if _, err := os.Lstat(name); len(found) == 0 && (err == nil || absolute(name) != "") {
		return aimAtPath(c, client, name, r)
	}
	v, err := findVolume(found, name)
	r.Volume = v.Info.ID
	return err
}

func aimAtPath(c *cobra.Command, client *control.Client, name string, r *activity.Request) error {
	path, err := filepath.Abs(name)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		var number syscall.Errno
		if errors.As(err, &number) {
			err = number
		}
		return &weir.Error{Op: "watch", Kind: weir.KindRefused, Path: name, Err: err, Hint: "watch what is there, or the directory that it is to be in"}
	}
	x, err := explain(c, client, path)
	if err != nil {
		return mistaken(err)
	}
	if len(x.Passes) == 0 {
		return &weir.Error{Op: "watch", Kind: weir.KindRefused, Path: name, Err: errors.New(x.Why), Hint: "weir volumes lists what can be watched"}
	}
	r.Volume, r.Path = x.Passes[0].Volume, weir.QuotePath(path)
	return nil
}

// watch shows what is told until ctx ends.
func (f *watchFlags) watch(ctx context.Context, c *cobra.Command, client *control.Client, r activity.Request) error {
	talk, err := client.Connect(ctx, activity.Name, true)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer talk.Close()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := talk.Send(ctx, text); err != nil {
		return f.parted(ctx, err)
	}
	show := newActivityView(c, f.json, r)
	defer context.AfterFunc(ctx, show.hurry)()
	err = f.parted(ctx, show.follow(ctx, talk))
	show.finish(err)
	return err
}

// parted makes no error of an interrupt.
func (f *watchFlags) parted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
