package main

import (
	"fmt"
	"os"
	"time"
)

// largeTree: a large tree is followed, and nothing happens; then weir is stopped and started on it again.
func largeTree(s settings, fs string) error {
	return withPair(s, fs, func(p pair) error {
		defer os.RemoveAll(stateDir(s))
		if err := fill(p.from(), s.idle); err != nil {
			return err
		}
		err := followingKept(s, "weir", p, func(f *follower) error {
			if err := awaitFiles(p.to(), s.idle); err != nil {
				return err
			}
			return idle(s, f)
		})
		if err != nil {
			return err
		}
		return restart(s, p)
	})
}

func idle(s settings, f *follower) error {
	time.Sleep(s.pause) // for what the first copy still does
	before, err := f.cpu()
	if err != nil {
		return err
	}
	time.Sleep(s.pause)
	after, err := f.cpu()
	if err != nil {
		return err
	}
	memory, err := f.memories()
	report(fmt.Sprintf("idle with %d files", s.idle), "weir", fmt.Sprintf("%.1f%% of a CPU, %s, %d marks and watches",
		100*(after-before).Seconds()/s.pause.Seconds(), memory, f.watches()))
	return err
}

// restart: everything is equal already, which has to be found out, with warm caches and with cold ones.
func restart(s settings, p pair) error {
	for _, caches := range []string{"warm", "cold"} {
		for _, name := range []string{"rsync -a", weirOnce} {
			if caches == "cold" {
				if err := dropCaches(); err != nil {
					return err
				}
			}
			r, err := timeCopy(s, p, name)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("%.0f ms", r.took)
			if name == weirOnce {
				n := r.words.Status.Compared
				text += fmt.Sprintf(", %.0f entries/s on each side (%d), %d bytes of content read",
					float64(n)/r.took*1000, n, r.words.Status.Read)
			}
			report(fmt.Sprintf("restart with %d files, %s", s.idle, caches), name, text)
		}
	}
	return nil
}
