package index

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard stands between the engine and the disk, because the engine ends the process when a write fails.
//
// A disk without room is waited for: the write is repeated until it succeeds, and the engine sees a slow
// disk. Any other failure of a write, and damage, ends the engine: its goroutines are parked where they
// touch the disk next, for ever, so that none of them changes the directory after it was opened again;
// whoever waits for the engine is told; and its files are closed. A parked goroutine is never continued,
// since what the engine does after an error that it takes for fatal is not defined.
type guard struct {
	log    *slog.Logger
	failed chan struct{} // closed when the engine has ended
	pause  time.Duration // between two tries

	mu      sync.Mutex
	err     error                     // why it has ended
	hasty   bool                      // a full disk is a failure: while opening and closing
	waiting int                       // writes that wait for the disk
	stalled error                     // what the last of them was told
	asking  int                       // writes and syncs that the disk has not answered yet
	since   time.Time                 // when it was asked first, or has answered last
	files   map[*guardedFile]struct{} // that the engine has open
}

func newGuard(log *slog.Logger) *guard {
	return &guard{
		log: log, failed: make(chan struct{}), pause: 200 * time.Millisecond, hasty: true,
		files: map[*guardedFile]struct{}{},
	}
}

// fail ends the engine. The first reason counts.
func (g *guard) fail(err error) {
	g.mu.Lock()
	if g.err != nil {
		g.mu.Unlock()
		return
	}
	g.err = err
	close(g.failed)
	files := g.files
	g.files = nil
	g.mu.Unlock()
	g.log.Error("index has failed", "err", err)
	for file := range files {
		_ = file.shut() // what was not durable yet is lost in any case
	}
}

// reason returns why the engine has ended, or nil.
func (g *guard) reason() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// stall returns why a write waits now, or nil.
func (g *guard) stall() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting == 0 {
		return nil
	}
	return g.stalled
}

// setHasty says whether a full disk is a failure. Writes that wait already give up when it becomes one.
func (g *guard) setHasty(hasty bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hasty = hasty
}

// park never returns if the engine has ended.
func (g *guard) park() {
	if g.reason() != nil {
		select {}
	}
}

// write performs a write-like call until it succeeds or fails for good. Errors that tell the engine
// something, such as a file that does not exist, are returned. It does not return if the engine has ended.
func (g *guard) write(op string, call func() error) error {
	waits := false
	for {
		g.park()
		err := g.ask(call)
		switch {
		case err == nil || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EEXIST):
			if waits {
				g.resume()
			}
			return err
		case full(err) && g.wait(fmt.Errorf("%s: %w", op, err), waits):
			waits = true
		default:
			g.fail(fmt.Errorf("%w: %s: %w", ErrFailed, op, err))
		}
	}
}

// ask makes a call that writes or syncs.
func (g *guard) ask(call func() error) error {
	g.mu.Lock()
	if g.asking == 0 {
		g.since = time.Now()
	}
	g.asking++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asking--
		g.since = time.Now()
	}()
	return call()
}

// silent returns for how long the disk has answered none of the calls that are under way, or 0 if none is.
func (g *guard) silent() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking == 0 {
		return 0
	}
	return time.Since(g.since)
}

// full says that a call may succeed later without anybody looking at the disk.
func full(err error) bool {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// wait pauses before the next try, or reports that there is none. again says that the write has waited
// before.
func (g *guard) wait(err error, again bool) bool {
	g.mu.Lock()
	hasty := g.hasty
	if !hasty && !again {
		g.waiting++
	}
	first := g.waiting == 1 && !again
	g.stalled = err
	g.mu.Unlock()
	if hasty {
		return false
	}
	if first {
		g.log.Warn("index waits for its disk", "err", err)
	}
	time.Sleep(g.pause)
	return true
}

// resume says that a write that has waited succeeded.
func (g *guard) resume() {
	g.mu.Lock()
	g.waiting--
	last := g.waiting == 0
	g.mu.Unlock()
	if last {
		g.log.Info("index goes on")
	}
}

// read slows a reader down if the engine has ended. The engine repeats a compaction that has failed at
// once; one that never comes to write would not be parked. A caller's read that was under way when the
// engine ended takes that much longer to fail.
func (g *guard) read() {
	if g.reason() != nil {
		time.Sleep(g.pause)
	}
}

// run calls fn, and returns without it if the engine ends meanwhile: fn is then parked.
func (g *guard) run(fn func() error) error {
	if err := g.reason(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-g.failed:
		return g.reason()
	}
}

// track keeps a file that the engine has opened, to be closed if the engine ends.
func (g *guard) track(below vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	file := &guardedFile{File: below, guard: g, fd: below.Fd()}
	g.mu.Lock()
	ended := g.err != nil
	if !ended {
		g.files[file] = struct{}{}
	}
	g.mu.Unlock()
	if ended {
		_ = file.shut()
	}
	return file, nil
}

func (g *guard) untrack(file *guardedFile) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.files, file)
}
