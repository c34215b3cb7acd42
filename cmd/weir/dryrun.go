package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/filters/replicate"
)

// dry tells what a run would change, a line per path, then totals.
func (f *mirrorFlags) dry(c *cobra.Command, o daemon.Options) error {
	ctx, stop := signal.NotifyContext(c.Context(), daemon.StopSignals()...)
	defer stop()
	out := &dryWriter{out: c.OutOrStdout(), json: f.json, several: len(o.Targets) > 1}
	totals, err := daemon.DryRun(ctx, o, out.change)
	if err != nil {
		return err
	}
	out.totals(totals)
	return nil
}

// dryWriter prints a dry run, for people or as one JSON object a line.
type dryWriter struct {
	out     io.Writer
	json    bool
	several bool // targets, so that each line names its own
}

func (w *dryWriter) printf(format string, args ...any) {
	fmt.Fprintf(w.out, format, args...)
}

func (w *dryWriter) encode(v any) {
	_ = json.NewEncoder(w.out).Encode(v) // The output keeps the error.
}

func (w *dryWriter) change(c replicate.Change) {
	if w.json {
		c.Path, c.Target = weir.QuotePath(c.Path), weir.QuotePath(c.Target)
		if c.From != "" {
			c.From = weir.QuotePath(c.From)
		}
		w.encode(struct {
			Event string `json:"event"`
			replicate.Change
		}{"change", c})
		return
	}
	path := c.Path
	if path == "" {
		path = "."
	}
	line := weir.QuotePath(path)
	if c.From != "" {
		line = weir.QuotePath(c.From) + " -> " + line
	}
	if w.several {
		line += " on " + weir.QuotePath(c.Target)
	}
	if c.Reason != "" {
		line += ": " + c.Reason
	}
	w.printf("%-12s  %s\n", c.Act, printable(line))
}

func (w *dryWriter) totals(totals []replicate.Total) {
	if w.json {
		w.encode(map[string]any{"event": "end", "totals": totals})
		return
	}
	for _, t := range totals {
		w.printf("%s: %s\n", weir.QuotePath(t.Target), sum(t))
		switch {
		case t.Untried:
			w.printf("  what it can store is tried out at the first start\n")
		case len(t.Missing) > 0:
			w.printf("  it cannot store %s\n", strings.Join(t.Missing, ", "))
		}
		if t.Held > 0 {
			w.printf("  the brake would hold %d deletions (%s); say --max-delete off, or a larger number, if they are meant\n", t.Held, t.Brake)
		}
	}
	w.printf("nothing was changed\n")
}

// sum says on one line how many paths each act is about.
func sum(t replicate.Total) string {
	var parts []string
	for _, act := range replicate.Acts() {
		if n := t.Counts[act]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", act, n))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing to do"}
		if t.Bytes == 0 {
			return parts[0]
		}
	}
	return strings.Join(parts, ", ") + "; at most " + size(t.Bytes) + " to read"
}
