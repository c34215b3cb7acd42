package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/weirfs/weir/daemon"
)

// output is standard output. Who writes to it need not ask whether it takes everything, and never gets an error: run
// asks at the end. It is safe for concurrent use.
type output struct {
	to io.Writer

	mu  sync.Mutex
	err error // the first
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.to.Write(b); o.err == nil {
		o.err = err
	}
	return len(b), nil
}

// lost returns why not everything was written, or nil.
func (o *output) lost() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return daemon.Unwritten("standard output", o.err)
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
