package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir/daemon"
)

// outputs returns what a command writes to. run has set both.
func outputs(c *cobra.Command) (out, errs *daemon.Output) {
	return c.OutOrStdout().(*daemon.Output), c.ErrOrStderr().(*daemon.Output)
}

// event prints one JSON object on a line of its own.
func event(w io.Writer, name string, fields map[string]any) {
	fields["time"], fields["event"] = time.Now(), name
	_ = json.NewEncoder(w).Encode(fields) // The output keeps the error.
}

// endFields is what the last event tells of how it ends.
func endFields(status int, err error) map[string]any {
	fields := map[string]any{"exit_status": status}
	if err != nil {
		fields["error"] = err.Error()
	}
	return fields
}
