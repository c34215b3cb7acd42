// Command weir keeps replicas of file trees in real time. Each verb is one file of this package with one
// constructor; root.go lists them.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/daemon"
)

// main keeps the first thread of the process for itself, and waits on it. The kernel hands that one the signals, and while it
// asks a file system that does not answer none arrives: so whatever may hang is done on other threads.
func main() {
	runtime.LockOSThread()
	ended := make(chan int)
	go func() { ended <- run(os.Args[1:], os.Stdout, os.Stderr) }()
	daemon.AsEngine().Exit(<-ended)
}

// run carries out one command line and returns the exit status. An error is printed here, once, and nowhere else. What
// could not be written is one too, whatever the command: its answer, or what there was to say of it, has not arrived.
func run(args []string, stdout, stderr io.Writer) int {
	out, errs := daemon.NewOutput(stdout, "standard output"), daemon.NewOutput(stderr, "standard error")
	status := execute(args, out, errs)
	for _, o := range []*daemon.Output{out, errs} {
		if lost := o.Lost(); lost != nil {
			fmt.Fprintf(errs, "weir: %v\n", lost)
			return weir.KindOf(lost).ExitStatus()
		}
	}
	return status
}

func execute(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	begun := false
	walk(root, func(c *cobra.Command) {
		if body := c.RunE; body != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				begun = true
				if err := refuseEmpty(c, args); err != nil {
					return err
				}
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
	var ended *statusError
	if errors.As(err, &ended) {
		if ended.error != nil {
			fmt.Fprintf(lines{stderr}, "weir: %v\n", ended.error)
		}
		return ended.status
	}
	var told *toldError
	if !errors.As(err, &told) {
		fmt.Fprintf(lines{stderr}, "weir: %v\n", err)
	}
	return weir.KindOf(err).ExitStatus()
}

// usageError says that a command line is not understood, and where to read what would be.
func usageError(command *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &value):
		err = fmt.Errorf("%s is no value for --%s, which is of type %s", weir.QuotePath(value.GetValue()), value.GetFlag().Name, value.GetFlag().Value.Type())
	case strings.Contains(err.Error(), "arg(s)"): // as cobra counts arguments
		err = fmt.Errorf("the arguments are %s, and not so many", strings.TrimPrefix(command.Use, command.Name()+" "))
	case !command.HasSubCommands() && strings.HasPrefix(err.Error(), "unknown command"): // as it refuses any
		err = errors.New("there are no arguments, only flags")
	}
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

// statusError is the exit status of another process that has done the work, and has told of its own errors.
type statusError struct {
	status int
	error  // what that process could not tell, or nil
}

func (e *statusError) Error() string {
	if e.error == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.error.Error()
}

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
