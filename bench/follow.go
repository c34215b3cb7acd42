package main

import (
	"errors"
	"fmt"
	"os"
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
					visible = append(visible, took.Seconds()*1000)
					durable = append(durable, (took+time.Since(seen)).Seconds()*1000)
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

// burst: many files are written on a followed source. The time is from the last close on the source until
// everything is durable on the target. cp -a copies the same tree, warm, to a new volume.
func burst(s settings, fs string) error {
	var weir, cp, rsync, writing []float64
	for range s.runs {
		err := withPair(s, fs, func(p pair) error {
			wrote, lag, err := burstOnce(s, p)
			writing = append(writing, wrote)
			weir = append(weir, lag)
			return err
		})
		if err != nil {
			return err
		}
		for name, list := range map[string]*[]float64{"cp -a": &cp, "rsync -a": &rsync} {
			took, err := copyOnce(s, fs, name, false)
			if err != nil {
				return err
			}
			*list = append(*list, took)
		}
	}
	title := fmt.Sprintf("burst of %d files", s.files)
	report(title, "the writer", fmt.Sprintf("%.0f ms", median(writing)))
	report(title, "cp -a", versus(cp, cp, "cp -a"))
	report(title, "rsync -a", versus(rsync, cp, "cp -a"))
	report(title, "weir, after the last close", versus(weir, cp, "cp -a"))
	return nil
}

// burstOnce returns, in milliseconds, how long the writer takes, and how long weir takes after it.
func burstOnce(s settings, p pair) (wrote, lag float64, err error) {
	err = following(s, "weir", p, func(f *follower) error {
		begin := time.Now()
		if err := fill(filepath.Join(p.from(), "burst"), s.files); err != nil {
			return err
		}
		last := time.Now()
		if err := awaitFiles(filepath.Join(p.to(), "burst"), s.files); err != nil {
			return err
		}
		err := f.stop()
		wrote, lag = last.Sub(begin).Seconds()*1000, time.Since(last).Seconds()*1000
		return err
	})
	return wrote, lag, err
}

// awaitFiles returns when dir holds what fill has made, each file of full length. It does not look at
// those again that it has seen, so that it costs the machine little.
func awaitFiles(dir string, files int) error {
	deadline := time.Now().Add(5 * time.Minute)
	for i := 0; i < files; {
		info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("d%04d", i/100), fmt.Sprintf("f%02d", i%100)))
		if err == nil && info.Size() == 4096 {
			i++
			continue
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d files are there after 5 minutes", i, files)
		}
		time.Sleep(5 * time.Millisecond)
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
		fmt.Sprintf("%d KiB written on the target, visible after %.0f ms", (after-before)/1024, took.Seconds()*1000))
	return nil
}

// besideSource: files are written on the source's volume, but not below the source.
func besideSource(s settings, fs string) error {
	return withPair(s, fs, func(p pair) error {
		return following(s, "weir", p, func(f *follower) error {
			before, err := f.cpu()
			if err != nil {
				return err
			}
			if err := fill(filepath.Join(p.source.dir, "beside"), s.files); err != nil {
				return err
			}
			if _, err := f.change(p, "after", "x", time.Minute); err != nil {
				return err
			}
			after, err := f.cpu()
			if err != nil {
				return err
			}
			used := after - before
			report(fmt.Sprintf("%d files beside the source", s.files), "weir",
				fmt.Sprintf("%d ms of CPU, %.1f us for each", used.Milliseconds(), used.Seconds()*1e6/float64(s.files)))
			return nil
		})
	})
}

// idle: a large tree is followed, and nothing happens.
func idle(s settings, fs string) error {
	return withPair(s, fs, func(p pair) error {
		if err := fill(p.from(), s.idle); err != nil {
			return err
		}
		return following(s, "weir", p, func(f *follower) error {
			if err := awaitFiles(p.to(), s.idle); err != nil {
				return err
			}
			time.Sleep(10 * time.Second) // for what the first copy still does
			const watched = 10 * time.Second
			before, err1 := f.cpu()
			time.Sleep(watched)
			after, err2 := f.cpu()
			memory, err3 := f.resident()
			marks, err4 := f.watches()
			report(fmt.Sprintf("idle with %d files", s.idle), "weir", fmt.Sprintf("%.1f%% of a CPU, %d MiB, %d marks and watches",
				100*(after-before).Seconds()/watched.Seconds(), memory>>20, marks))
			return errors.Join(err1, err2, err3, err4)
		})
	})
}
