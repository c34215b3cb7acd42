package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/tree"
)

const verifyLong = `Compare two directory trees in every attribute that weir replicates: names, types,
sizes, owners, the 12 permission bits, nanosecond times of modification, extended
attributes and access control lists, texts of symbolic links, numbers of devices,
hard links and holes. It reads the trees alone, whoever made the copy.

Without --content, files of equal size and equal time of modification count as
equal. With --content, the bytes of all files of equal size are compared.

Mounts below A and B belong to the trees. A directory .weir at the root of either,
and lost+found at the root of an ext file system, do not. Two names are hard links
if they lead to one inode through one mount. Holes differ if a file of A has at least
64 KiB of holes and its twin less than half as much. The directory that a snapshot of
btrfs has in place of a subvolume in the original has the present time whenever it is
looked at: that time is not compared.

Each difference is one line: the path below A and B, what differs, and both values.
A path with unusual characters is printed as a Go string literal. Of a value of more
than 200 bytes that many are shown, with those in which the sides begin to differ, and
its length, also with --json. With --json each difference, and each part that could
not be read, is one JSON object on a line; the last object is the summary. Memory
grows with the number of inodes that have several names, and with nothing else.
Compare trees that are at rest: what changes meanwhile may be reported as a
difference.`

const verifyExit = `  0  equal
  1  different
  2  could not be compared: missing, not a directory, unreadable in part, or
     interrupted
  3  part of the output could not be written`

func newVerifyCommand() *cobra.Command {
	var content, asJSON bool
	command := &cobra.Command{
		Use:         "verify [flags] A B",
		Short:       "Compare two trees in every attribute",
		Long:        verifyLong,
		Example:     "  weir verify /home /mnt/backup/home\n  weir verify --content --json /srv /mnt/b/srv",
		Annotations: map[string]string{exitKey: verifyExit},
		Args:        cobra.ExactArgs(2),

		ValidArgsFunction: completeDirs,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			var out verifyOutput = &verifyText{out: c.OutOrStdout(), problems: c.ErrOrStderr()}
			if asJSON {
				out = &verifyJSON{encoder: json.NewEncoder(c.OutOrStdout())}
			}
			return verify(ctx, args[0], args[1], content, out)
		},
	}
	command.Flags().BoolVar(&content, "content", false, "compare the bytes of files")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object per line")
	return command
}

// verifyOutput shows what a comparison finds.
type verifyOutput interface {
	difference(tree.Difference)
	unreadable(path string, err error)
	end(tree.CompareResult)
}

// verify compares two trees. The kinds of its errors give the exit statuses that the command documents.
func verify(ctx context.Context, a, b string, content bool, out verifyOutput) error {
	var result tree.CompareResult
	compared := make(chan error, 1)
	go func() {
		var err error
		result, err = compare(ctx, a, b, content, out)
		compared <- err
	}()
	var err error
	select {
	case err = <-compared:
	case <-ctx.Done():
		err = &weir.Error{Op: "verify", Kind: weir.KindRefused, Err: errors.New("it was interrupted, so that not everything was compared")}
	}
	if err != nil {
		return err
	}
	out.end(result)
	return told(verdict(result))
}

// compare compares two trees, either of which may hang.
func compare(ctx context.Context, a, b string, content bool, out verifyOutput) (tree.CompareResult, error) {
	var roots [2]*tree.Dir
	for i, path := range []string{a, b} {
		d, err := tree.OpenPath(path)
		if err != nil {
			return tree.CompareResult{}, &weir.Error{
				Op: "verify", Kind: weir.KindRefused, Err: err,
				Hint: "name two directories that exist and can be read",
			}
		}
		defer d.Close()
		roots[i] = d
	}
	result, err := tree.Compare(ctx, roots[0], roots[1], tree.CompareOptions{
		Content: content, Report: out.difference, Unreadable: out.unreadable,
	})
	if err != nil {
		err = &weir.Error{Op: "verify", Kind: weir.KindRefused, Err: err}
	}
	return result, err
}

// verdict is the error, of which only the kind matters, that a result amounts to.
func verdict(r tree.CompareResult) error {
	switch {
	case r.Unreadable > 0:
		return &weir.Error{Op: "verify", Kind: weir.KindRefused, Err: errors.New("not everything could be read")}
	case r.Differences > 0:
		return &weir.Error{Op: "verify", Kind: weir.KindDiffers, Err: errors.New("the trees differ")}
	}
	return nil
}

// verifyText prints lines for people.
type verifyText struct{ out, problems io.Writer }

func (v *verifyText) difference(d tree.Difference) {
	fmt.Fprintf(v.out, "%s: %s: A has %s, B has %s\n", weir.QuotePath(d.Path), weir.QuotePath(d.What), d.A, d.B)
}

func (v *verifyText) unreadable(path string, err error) {
	fmt.Fprintf(v.problems, "weir: could not compare %s: %v\n", weir.QuotePath(path), err)
}

func (v *verifyText) end(r tree.CompareResult) {
	if r.Differences == 0 && r.Unreadable == 0 {
		fmt.Fprintf(v.out, "equal: %s compared\n", plural(r.Objects, "object"))
		return
	}
	fmt.Fprintf(v.out, "differences: %d, unreadable: %d, objects compared: %d\n", r.Differences, r.Unreadable, r.Objects)
}

// verifyJSON prints objects for programs.
type verifyJSON struct{ encoder *json.Encoder }

func (v *verifyJSON) difference(d tree.Difference) {
	v.print(map[string]string{"path": weir.QuotePath(d.Path), "what": weir.QuotePath(d.What), "a": d.A, "b": d.B})
}

func (v *verifyJSON) unreadable(path string, err error) {
	v.print(map[string]string{"path": weir.QuotePath(path), "error": err.Error()})
}

func (v *verifyJSON) end(r tree.CompareResult) { v.print(r) }

// print leaves errors to the output; a reader that has gone ends the command by SIGPIPE.
func (v *verifyJSON) print(object any) { _ = v.encoder.Encode(object) }
