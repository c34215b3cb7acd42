package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// follower is a program that keeps the target equal to the source: weir or lsyncd.
type follower struct {
	name    string
	process *exec.Cmd
	log     *os.File
	waited  chan error
}

// followers lists those that are installed, weir first.
func followers() []string {
	if _, err := exec.LookPath("lsyncd"); err != nil {
		return []string{"weir"}
	}
	return []string{"weir", "lsyncd"}
}

// following runs a program on p, calls fn once it has replicated a change, and ends the program, in an
// orderly way unless fn fails. For weir that is behind the barrier.
func following(s settings, name string, p pair, fn func(f *follower) error) error {
	defer os.RemoveAll(stateDir(s))
	return followingKept(s, name, p, fn)
}

// followingKept is following without the end of weir's state, so that it can be started again.
func followingKept(s settings, name string, p pair, fn func(f *follower) error) error {
	f, err := follow(s, name, p)
	if err != nil {
		return err
	}
	defer f.log.Close()
	if _, err = f.change(p, "warm-up", "ready", 5*time.Minute); err == nil {
		err = fn(f)
	}
	if err != nil {
		_ = f.process.Process.Kill()
		<-f.waited
		return err
	}
	return f.stop()
}

func follow(s settings, name string, p pair) (*follower, error) {
	if err := errors.Join(os.MkdirAll(p.from(), 0o755), os.MkdirAll(p.to(), 0o755)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	f := &follower{name: name, log: log, waited: make(chan error, 1), process: command(s, name, p)}
	f.process.Stdout, f.process.Stderr = log, log
	if err := f.process.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() { f.waited <- f.process.Wait() }()
	return f, nil
}

func command(s settings, name string, p pair) *exec.Cmd {
	if name == "lsyncd" {
		// -delay 0 instead of its 15 s; rsync is what it runs for each batch.
		return exec.Command("lsyncd", "-nodaemon", "-delay", "0", "-rsync", p.from(), p.to())
	}
	return exec.Command(s.weir, "mirror", "--json", "--state", stateDir(s), "--progress", "never", p.from(), p.to())
}

func stateDir(s settings) string { return filepath.Join(s.dir, "state") }

// change writes a file on the source and returns how long a reader of the replica waits for it.
func (f *follower) change(p pair, name, text string, patience time.Duration) (time.Duration, error) {
	content := make([]byte, 4096)
	copy(content, text)
	if err := os.WriteFile(filepath.Join(p.from(), name), content, 0o644); err != nil {
		return 0, err
	}
	start := time.Now()
	for deadline := start.Add(patience); ; time.Sleep(100 * time.Microsecond) {
		got, err := os.ReadFile(filepath.Join(p.to(), name))
		if err == nil && string(got) == string(content) {
			return time.Since(start), nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s has not replicated %s in %v:\n%s", f.name, name, patience, f.tail())
		}
		select {
		case err := <-f.waited:
			f.waited <- err
			return 0, fmt.Errorf("%s ended with %w:\n%s", f.name, err, f.tail())
		default:
		}
	}
}

// stop ends the program in an orderly way. For weir that is behind the barrier.
func (f *follower) stop() error {
	if err := f.process.Process.Signal(unix.SIGTERM); err != nil {
		return err
	}
	err := <-f.waited
	if f.name != "weir" { // lsyncd calls an orderly end 143
		return nil
	}
	if err != nil {
		return fmt.Errorf("weir ended with %w:\n%s", err, f.tail())
	}
	return nil
}

// tail is the end of what the program has printed.
func (f *follower) tail() string {
	text, _ := os.ReadFile(f.log.Name())
	return string(text[max(0, len(text)-500):])
}
