package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/weirfs/weir"
)

// Output is standard output or standard error. Who writes to it need not ask whether it takes everything, and never gets
// an error: Lost tells at the end. Whoever reads it is waited for as long as he lives, until Hurry. It is safe for
// concurrent use.
type Output struct {
	to   io.Writer
	name string
	late chan struct{} // closed by Hurry
	once sync.Once     // Hurry

	writing sync.Mutex // serialises Write

	mu  sync.Mutex
	err error // the first
}

// NewOutput returns an output with a name for people.
func NewOutput(to io.Writer, name string) *Output {
	return &Output{to: to, name: name, late: make(chan struct{})}
}

// Write implements io.Writer. After something was lost it takes the rest, and drops it.
func (o *Output) Write(b []byte) (int, error) {
	o.writing.Lock()
	defer o.writing.Unlock()
	if o.Lost() == nil {
		err := o.pass(bytes.Clone(b))
		o.mu.Lock()
		o.err = err
		o.mu.Unlock()
	}
	return len(b), nil
}

var errStalled = errors.New("nobody reads it")

// pass writes on a goroutine of its own, since nothing else ends a write that waits for a reader.
func (o *Output) pass(b []byte) error {
	written := begin(func() error {
		_, err := o.to.Write(b)
		return err
	})
	select {
	case <-written.done:
	case <-o.late:
		if !written.endsWithin(reapPatience) {
			return errStalled
		}
	}
	return written.err
}

// Hurry has a reader be waited for no longer than for a moment from now on. It may be called twice.
func (o *Output) Hurry() { o.once.Do(func() { close(o.late) }) }

// Lost returns why not everything was written, or nil.
func (o *Output) Lost() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		return nil
	}
	return &weir.Error{Op: "write " + o.name, Err: fmt.Errorf("part of what was to be told is lost: %w", o.err),
		Hint: "see to where it goes"}
}
