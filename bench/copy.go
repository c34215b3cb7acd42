package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// copier is a program that copies once and ends.
type copier struct {
	name string
	argv []string
}

const weirOnce = "weir mirror --once"

func copiers(s settings, p pair) []copier {
	return []copier{
		{"cp -a", []string{"cp", "-a", p.from() + "/.", p.to()}},
		{"rsync -a", []string{"rsync", "-a", p.from() + "/", p.to() + "/"}},
		{weirOnce, []string{
			s.weir, "mirror", "--once", "--json", "--state", stateDir(s), "--progress", "never", p.from(), p.to(),
		}},
	}
}

// copyRun is one run of a copier: how long it took in milliseconds, and what it printed.
type copyRun struct {
	took  float64
	words told    // of weir
	ready float64 // milliseconds from the start of weir until all was durable
}

// firstCopy: a cold tree is copied to an empty target, until it is durable. What weir needs to start and to end,
// the volumes and the index, is measured with an empty tree.
func firstCopy(s settings, fs string) error {
	var cp, rsync, weir, ready, empty []float64
	for range s.runs {
		for name, list := range map[string]*[]float64{"cp -a": &cp, "rsync -a": &rsync, weirOnce: &weir} {
			r, err := copyOnce(s, fs, name, s.files, true)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*list = append(*list, r.took)
			if name == weirOnce {
				ready = append(ready, r.ready)
			}
		}
		r, err := copyOnce(s, fs, weirOnce, 0, true)
		if err != nil {
			return err
		}
		empty = append(empty, r.took)
	}
	title := fmt.Sprintf("first copy of %d files", s.files)
	report(title, "cp -a, syncfs", versus(cp, cp, "cp -a"))
	report(title, "rsync -a, syncfs", versus(rsync, cp, "cp -a"))
	report(title, "weir, until durable", versus(ready, cp, "cp -a"))
	report(title, "weir, until it has ended", versus(weir, cp, "cp -a"))
	report(title, "weir, an empty tree", fmt.Sprintf("%.0f ms: what it takes to start and to end", median(empty)))
	return nil
}

// copyOnce runs a copier, with syncfs, on a tree that was just made and a new volume. If the tree is cold it has to
// be read from its device.
func copyOnce(s settings, fs, name string, files int, cold bool) (r copyRun, err error) {
	err = withPair(s, fs, func(p pair) error {
		defer os.RemoveAll(stateDir(s))
		err := errors.Join(os.MkdirAll(p.from(), 0o755), fill(p.from(), files), os.MkdirAll(p.to(), 0o755))
		if err == nil && cold {
			err = dropCaches()
		}
		if err != nil {
			return err
		}
		r, err = timeCopy(s, p, name)
		return err
	})
	return r, err
}

func timeCopy(s settings, p pair, name string) (r copyRun, err error) {
	for _, c := range copiers(s, p) {
		if c.name != name {
			continue
		}
		var out, trouble bytes.Buffer
		command := exec.Command(c.argv[0], c.argv[1:]...)
		command.Stdout, command.Stderr = &out, &trouble
		start := time.Now()
		if err := command.Run(); err != nil {
			return r, fmt.Errorf("%w: %s", err, &trouble)
		}
		if err := p.target.sync(); err != nil {
			return r, err
		}
		r.took = milliseconds(time.Since(start))
		if name == weirOnce {
			if r.words, err = lastWords(out.Bytes()); err != nil {
				return r, err
			}
			r.ready = milliseconds(r.words.Status.Replicas[0].Durable.Sub(start))
		}
		return r, nil
	}
	return r, fmt.Errorf("no copier %q", name)
}
