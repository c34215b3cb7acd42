package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weirfs/weir"
)

// ErrNoneRuns is in the error of Find if no weir runs.
var ErrNoneRuns = errors.New("no weir is running")

// patience is how long Find waits for a weir to say what it is.
const patience = 2 * time.Second

// Running is a weir that is announced.
type Running struct {
	Client *Client
	Status Status
	mute   bool // it is there and does not answer
}

// Find returns the one weir that runs, and may be asked by the caller. Otherwise the error is of KindRefused, and lists
// them if there are several.
func Find(ctx context.Context) (*Client, error) {
	running, hidden := list(ctx, directories())
	const op = "find the running weir"
	switch {
	case len(running) == 1:
		return running[0].Client, nil
	case len(running) > 1:
		return nil, refusal(op, "", errors.New("there are several: "+describe(running)), "choose one with --socket")
	case hidden > 0:
		return nil, refusal(op, "", errors.New("one is announced that this user may not ask"), askAsRoot)
	}
	return nil, refusal(op, "", ErrNoneRuns, notServed)
}

// directories lists where weirs are announced that the caller may be able to ask.
func directories() []string {
	own := RunningDir()
	if own == rootRunning || own == "" {
		return []string{rootRunning}
	}
	return []string{own, rootRunning}
}

// list asks everything that is announced what it is. hidden is how many the caller may not ask. A link or a socket that
// a dead process has left counts for nothing, and the link is removed if the caller may.
func list(ctx context.Context, dirs []string) (running []Running, hidden int) {
	var links []link
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir) // What is not there announces nothing.
		if errors.Is(err, fs.ErrPermission) {
			hidden++
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if to, err := os.Readlink(path); err == nil {
				links = append(links, link{path, to})
			}
		}
	}
	found := make([]*Running, len(links))
	errs := make([]error, len(links))
	var all sync.WaitGroup
	for i, l := range links {
		all.Go(func() {
			if found[i], errs[i] = ask(ctx, l.to); errors.Is(errs[i], syscall.ECONNREFUSED) {
				l.clear(ctx)
			}
		})
	}
	all.Wait()
	for i, r := range found {
		if r != nil {
			running = append(running, *r)
		} else if errors.Is(errs[i], fs.ErrPermission) {
			hidden++
		}
	}
	return running, hidden
}

// ask returns what serves a socket, or why nothing does.
func ask(ctx context.Context, path string) (*Running, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := &Running{Client: NewClient(path)}
	conn, err := r.Client.dial(ctx)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, err
	}
	if err == nil {
		_ = conn.Close() // It was only to see whether somebody listens.
		err = r.Client.Get(ctx, "/v1/status", nil, &r.Status)
	}
	r.mute = err != nil
	return r, nil
}

func describe(running []Running) string {
	var lines []string
	for _, r := range running {
		what := r.Status.What
		if r.mute {
			what = "does not answer"
		}
		lines = append(lines, fmt.Sprintf("%s (%s)", weir.QuotePath(r.Client.path), what))
	}
	return strings.Join(lines, ", ")
}
