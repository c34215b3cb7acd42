package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// burst: many files are written on a followed source. The time is from the last close on the source until
// everything is durable on the target. cp -a and rsync -a copy the same tree, warm, to a new volume.
func burst(s settings, fs string) error {
	times := map[string][]float64{}
	var writing, visible []float64
	for range s.runs {
		for _, name := range followers() {
			r, err := burstOnce(s, fs, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			times[name] = append(times[name], r.durable)
			if name == "weir" {
				writing, visible = append(writing, r.wrote), append(visible, r.visible)
			}
		}
		for _, name := range []string{"cp -a", "rsync -a"} {
			r, err := copyOnce(s, fs, name, s.files, false)
			if err != nil {
				return err
			}
			times[name] = append(times[name], r.took)
		}
	}
	title, cp := fmt.Sprintf("burst of %d files", s.files), times["cp -a"]
	report(title, "cp -a, syncfs", versus(cp, cp, "cp -a"))
	report(title, "rsync -a, syncfs", versus(times["rsync -a"], cp, "cp -a"))
	if lsyncd := times["lsyncd"]; lsyncd != nil {
		report(title, "lsyncd, last close to synced", versus(lsyncd, cp, "cp -a"))
	}
	report(title, "weir, last close to durable", versus(times["weir"], cp, "cp -a"))
	report(title, "weir, last close to visible", versus(visible, cp, "cp -a"))
	report(title, "the writer beside weir", fmt.Sprintf("%.0f ms", median(writing)))
	return nil
}

// burstTimes are milliseconds: what the writer took, and from its last close until all was visible and durable.
type burstTimes struct{ wrote, visible, durable float64 }

func burstOnce(s settings, fs, name string) (t burstTimes, err error) {
	var closed time.Time
	err = withPair(s, fs, func(p pair) error {
		err := following(s, name, p, func(f *follower) error {
			begin := time.Now()
			if err := fill(filepath.Join(p.from(), "burst"), s.files); err != nil {
				return err
			}
			closed = time.Now()
			if err := awaitFiles(filepath.Join(p.to(), "burst"), s.files); err != nil {
				return err
			}
			t.wrote, t.visible = milliseconds(closed.Sub(begin)), milliseconds(time.Since(closed))
			if name == "weir" {
				return nil
			}
			err := p.target.sync()
			t.durable = milliseconds(time.Since(closed))
			return err
		})
		if err != nil || name != "weir" {
			return err
		}
		words, err := lastWordsIn(s)
		if err == nil {
			t.durable = milliseconds(words.Status.Replicas[0].Durable.Sub(closed))
		}
		return err
	})
	return t, err
}

// lastWordsIn reads what a follower has printed.
func lastWordsIn(s settings) (told, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "weir.log"))
	if err != nil {
		return told{}, err
	}
	return lastWords(text)
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
