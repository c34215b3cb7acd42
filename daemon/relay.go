package daemon

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/weirfs/weir/internal/sys/fd"
)

// relay passes on what an engine writes. Who reads a pipe waits until every writer has closed it, and an engine that hangs
// in the kernel never does: so the pipes that others read are the supervisor's alone.
type relay struct {
	from *os.File
	to   *Output
	done chan struct{} // closed when all was passed on, or is lost
}

func (r *relay) run() {
	defer close(r.done)
	defer r.from.Close()
	_, err := io.Copy(r.to, r.from)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	if left, err := fd.Unread(r.from); err == nil && r.from.SetReadDeadline(time.Time{}) == nil {
		_, _ = io.CopyN(r.to, r.from, left)
	}
}

// finish says that the engine writes no more, though it may never close its end.
func (r *relay) finish() { _ = r.from.SetReadDeadline(time.Now()) }

// passOn returns what the engine writes to: files that are nobody's, and ends of pipes.
func (s *supervisor) passOn() (out, errs *os.File, err error) {
	if out, err = s.endOf(s.stdout); err != nil {
		return nil, nil, err
	}
	if sameFile(s.stdout, s.stderr) {
		return out, out, nil // One writer, so that lines keep their order.
	}
	if errs, err = s.endOf(s.stderr); err != nil {
		s.closeEnds()
	}
	return out, errs, err
}

// endOf returns where the engine writes what is for an output: the very file, or a pipe where somebody waits for the end.
func (s *supervisor) endOf(o *Output) (*os.File, error) {
	if file, ok := o.to.(*os.File); ok && !isPipe(file) {
		return file, nil
	}
	from, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r := &relay{from: from, to: o, done: make(chan struct{})}
	s.relays, s.ends = append(s.relays, r), append(s.ends, end)
	go r.run()
	return end, nil
}

// closeEnds leaves the pipes to the engine.
func (s *supervisor) closeEnds() {
	for _, end := range s.ends {
		end.Close()
	}
	s.ends = nil
}

func isPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

func sameFile(a, b *Output) bool {
	one, isFile := a.to.(*os.File)
	two, areFiles := b.to.(*os.File)
	if !isFile || !areFiles {
		return false
	}
	infoOne, errOne := one.Stat()
	infoTwo, errTwo := two.Stat()
	return errOne == nil && errTwo == nil && os.SameFile(infoOne, infoTwo)
}
