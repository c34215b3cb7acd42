package daemon

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/weirfs/weir"
)

// relay passes on what an engine writes. It takes everything, also when nobody takes it any more, so that the engine
// can end in order.
type relay struct {
	to   *os.File
	name string

	mu  sync.Mutex
	err error // the first
}

// Write implements io.Writer. Only one goroutine calls it.
func (r *relay) Write(b []byte) (int, error) {
	if r.lost() == nil {
		_, err := r.to.Write(b) // May wait for the reader, and so does not hold the lock.
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = err
	}
	return len(b), nil
}

// lost returns why not everything was passed on, or nil.
func (r *relay) lost() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Unwritten(r.name, r.err)
}

// Unwritten returns the error of an output that does not take everything, or nil if there is none.
func Unwritten(name string, err error) error {
	if err == nil {
		return nil
	}
	return &weir.Error{Op: "write " + name, Err: fmt.Errorf("part of what was to be told is lost: %w", err),
		Hint: "see to where it goes"}
}

// passOn returns what an engine writes to. Who reads a pipe waits until every writer has closed it, and an engine
// that hangs in the kernel never does: so pipes are the supervisor's alone.
func (s *supervisor) passOn(stdout, stderr *os.File) (out, err io.Writer) {
	out, err = stdout, stderr
	outInfo, outErr := stdout.Stat()
	errInfo, errErr := stderr.Stat()
	if outErr == nil && isPipe(outInfo) {
		out = s.relay(stdout, "standard output")
	}
	if errErr == nil && isPipe(errInfo) {
		if outErr == nil && os.SameFile(outInfo, errInfo) {
			return out, out // One writer, so that lines keep their order.
		}
		err = s.relay(stderr, "standard error")
	}
	return out, err
}

func (s *supervisor) relay(to *os.File, name string) *relay {
	r := &relay{to: to, name: name}
	s.relays = append(s.relays, r)
	return r
}

func isPipe(info os.FileInfo) bool { return info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 }
