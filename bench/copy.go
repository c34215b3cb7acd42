package main

import (
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

func copiers(s settings, p pair) []copier {
	return []copier{
		{"cp -a", []string{"cp", "-a", p.from() + "/.", p.to()}},
		{"rsync -a", []string{"rsync", "-a", p.from() + "/", p.to() + "/"}},
		{"weir mirror --once", []string{
			s.weir, "mirror", "--once", "--state", stateDir(s), "--progress", "never", p.from(), p.to(),
		}},
	}
}

// firstCopy: a cold tree is copied to an empty target, until it is durable.
func firstCopy(s settings, fs string) error {
	times := map[string][]float64{}
	for range s.runs {
		for _, c := range copiers(s, pair{&volume{}, &volume{}}) {
			took, err := copyOnce(s, fs, c.name, true)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			times[c.name] = append(times[c.name], took)
		}
	}
	for _, c := range copiers(s, pair{&volume{}, &volume{}}) {
		report(fmt.Sprintf("first copy of %d files", s.files), c.name, versus(times[c.name], times["cp -a"], "cp -a"))
	}
	return nil
}

// copyOnce returns how many milliseconds a copier takes, with syncfs, to copy a tree to a new volume. The
// tree has just been written and, if cold, has to be read from its device.
func copyOnce(s settings, fs, name string, cold bool) (milliseconds float64, err error) {
	err = withPair(s, fs, func(p pair) error {
		defer os.RemoveAll(stateDir(s))
		err := errors.Join(fill(p.from(), s.files), os.MkdirAll(p.to(), 0o755))
		if err == nil && cold {
			err = dropCaches()
		}
		if err != nil {
			return err
		}
		milliseconds, err = timeCopy(s, p, name)
		return err
	})
	return milliseconds, err
}

func timeCopy(s settings, p pair, name string) (milliseconds float64, err error) {
	for _, c := range copiers(s, p) {
		if c.name != name {
			continue
		}
		start := time.Now()
		if out, err := exec.Command(c.argv[0], c.argv[1:]...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
		if err := p.target.sync(); err != nil {
			return 0, err
		}
		return time.Since(start).Seconds() * 1000, nil
	}
	return 0, fmt.Errorf("no copier %q", name)
}
