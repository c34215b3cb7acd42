package main

import (
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// changeLatency: a file of 4 KiB is written on an idle source, again and again. Visible is the time until a
// reader of the replica gets it; durable adds a syncfs of the target by that reader, so that it holds
// whatever the program itself has made durable by then.
func changeLatency(s settings, fs string) error {
	for _, name := range followers() {
		changes, pause := s.changes, 20*time.Millisecond
		if name == "lsyncd" {
			// rsync does not see a second change of equal size within a second.
			changes, pause = min(changes, 10), 1100*time.Millisecond
		}
		var visible, durable []float64
		err := withPair(s, fs, func(p pair) error {
			return following(s, name, p, func(f *follower) error {
				for i := range changes {
					took, err := f.change(p, "change", fmt.Sprint(i), time.Minute)
					if err != nil {
						return err
					}
					seen := time.Now()
					if err := p.target.sync(); err != nil {
						return err
					}
					visible = append(visible, milliseconds(took))
					durable = append(durable, milliseconds(took+time.Since(seen)))
					time.Sleep(pause) // idle again
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		report("single 4 KiB change", name, fmt.Sprintf("visible after %.1f ms (median of %d; 99th percentile %.1f), durable after %.1f",
			median(visible), len(visible), quantile(visible, 0.99), median(durable)))
	}
	return nil
}

// renameDirectory: a directory of many files gets another name. What counts is how much is written.
func renameDirectory(s settings, fs string) error {
	for _, name := range followers() {
		err := withPair(s, fs, func(p pair) error {
			if err := fill(filepath.Join(p.from(), "old"), s.moved); err != nil {
				return err
			}
			return following(s, name, p, func(*follower) error { return renameOnce(s, name, p) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func renameOnce(s settings, name string, p pair) error {
	const settle = 2 * time.Second // for what is written behind the last visible change
	if err := awaitFiles(filepath.Join(p.to(), "old"), s.moved); err != nil {
		return err
	}
	time.Sleep(settle)
	before, err := p.target.written()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := unix.Rename(filepath.Join(p.from(), "old"), filepath.Join(p.from(), "new")); err != nil {
		return err
	}
	if err := awaitFiles(filepath.Join(p.to(), "new"), s.moved); err != nil {
		return err
	}
	took := time.Since(start)
	time.Sleep(settle)
	after, err := p.target.written()
	if err != nil {
		return err
	}
	report(fmt.Sprintf("rename of a directory of %d", s.moved), name,
		fmt.Sprintf("%d KiB written on the target, visible after %.0f ms", (after-before)/1024, milliseconds(took)))
	return nil
}
