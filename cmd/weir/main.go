// Command weir keeps replicas of file trees in real time. Each verb is one file of this package with one
// constructor; root.go lists them.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit status. An error is printed here, once, and
// nowhere else.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	begun := false
	walk(root, func(c *cobra.Command) {
		if body := c.RunE; body != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				begun = true
				return body(c, args)
			}
		}
	})
	command, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	if !begun { // cobra itself did not take the command line
		err = usageError(command, err)
	}
	var told *toldError
	if !errors.As(err, &told) {
		fmt.Fprintf(stderr, "weir: %v\n", err)
	}
	return weir.KindOf(err).ExitStatus()
}

// usageError says that a command line is not understood, and where to read what would be.
func usageError(command *cobra.Command, err error) error {
	return &weir.Error{
		Op:   "read the command line",
		Kind: weir.KindRefused,
		Err:  err,
		Hint: fmt.Sprintf("see %s --help", command.CommandPath()),
	}
}

// toldError marks an error that the command's own output has told already: it sets the exit status and
// is not printed again.
type toldError struct{ error }

func (e *toldError) Unwrap() error { return e.error }

// told returns err so that only the exit status of its kind remains to be given.
func told(err error) error {
	if err == nil {
		return nil
	}
	return &toldError{err}
}

// walk calls fn for command and everything below it.
func walk(command *cobra.Command, fn func(*cobra.Command)) {
	fn(command)
	for _, c := range command.Commands() {
		walk(c, fn)
	}
}
