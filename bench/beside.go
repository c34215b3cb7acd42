package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// besideSource: files are written on the source's volume, but not below the source: first in directories that weir
// has never heard of, then again in the same ones, and then the directory around these is renamed as often as files were
// written. The yardstick is the writer, with nobody listening.
func besideSource(s settings, fs string) error {
	title := fmt.Sprintf("%d files beside the source", s.files)
	var alone, beside [rounds]time.Duration
	err := withPair(s, fs, func(p pair) (err error) {
		alone, err = writeBeside(s, p, func() error { return nil })
		return err
	})
	if err != nil {
		return err
	}
	return withPair(s, fs, func(p pair) error {
		return following(s, "weir", p, func(f *follower) error {
			var used []time.Duration
			beside, err = writeBeside(s, p, func() error {
				// What comes behind the foreign events is replicated when they have been dealt with.
				if _, err := f.change(p, "after", fmt.Sprint(len(used)), time.Minute); err != nil {
					return err
				}
				cpu, err := f.cpu()
				used = append(used, cpu)
				return err
			})
			if err != nil {
				return err
			}
			for i, round := range [rounds]string{"new directories", "the same ones again", "a directory renamed"} {
				cpu := used[i+1] - used[i]
				report(title, "weir, "+round, fmt.Sprintf("%d ms of CPU, %.1f us for each; the writer took %.0f ms, without weir %.0f",
					cpu.Milliseconds(), cpu.Seconds()*1e6/float64(s.files), milliseconds(beside[i]), milliseconds(alone[i])))
			}
			return nil
		})
	})
}

// rounds is how often something is done beside the source.
const rounds = 3

// writeBeside writes the files twice, then renames, and calls between before and after each time.
func writeBeside(s settings, p pair, between func() error) (took [rounds]time.Duration, err error) {
	if err := between(); err != nil {
		return took, err
	}
	dir := filepath.Join(p.source.dir, "beside")
	write := func() error { return fill(dir, s.files) }
	for i, work := range [rounds]func() error{write, write, func() error { return renameToAndFro(dir, s.files) }} {
		start := time.Now()
		if err := work(); err != nil {
			return took, err
		}
		took[i] = time.Since(start)
		if err := between(); err != nil {
			return took, err
		}
	}
	return took, nil
}

// renameToAndFro renames a directory so many times.
func renameToAndFro(dir string, times int) error {
	names := [2]string{dir, dir + "s"}
	for n := range times {
		if err := os.Rename(names[n%2], names[(n+1)%2]); err != nil {
			return err
		}
	}
	return nil
}
