package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

const appendEvery = 100 * time.Millisecond

// appends: a large file grows by 4 KiB ten times a second, while small files change beside it. The yardstick is
// what rsync does after one append.
func appends(s settings, fs string) error {
	if fs != "ext4" {
		return nil // What is asked is what happens without shared extents.
	}
	return withPair(s, fs, func(p pair) error {
		defer os.RemoveAll(stateDir(s))
		if err := makeLarge(s, p); err != nil {
			return err
		}
		err := followingKept(s, "weir", p, func(f *follower) error { return appendsOnce(s, p, f) })
		if err != nil {
			return err
		}
		for _, flags := range [][]string{{"-a"}, {"-a", "--inplace", "--no-whole-file"}} {
			if err := rsyncAppend(s, p, flags); err != nil {
				return err
			}
		}
		return nil
	})
}

func large(dir string) string { return filepath.Join(dir, "large") }

func makeLarge(s settings, p pair) error {
	if err := os.MkdirAll(p.from(), 0o755); err != nil {
		return err
	}
	file, err := os.Create(large(p.from()))
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 1<<20)
	for i := range s.large >> 20 {
		copy(block, fmt.Sprint(i))
		if _, err := file.Write(block); err != nil {
			return err
		}
	}
	return file.Sync()
}

func appendsOnce(s settings, p pair, f *follower) error {
	if err := awaitSize(large(p.to()), s.large); err != nil {
		return err
	}
	time.Sleep(s.pause)
	before, err := p.target.written()
	if err != nil {
		return err
	}
	busy, err := f.cpu()
	if err != nil {
		return err
	}
	var small []float64
	var times []time.Time
	var lags []float64
	var appendErr, lagErr error
	var wg sync.WaitGroup
	stop := make(chan struct{})
	grown := make(chan time.Time, s.appends)
	wg.Go(func() { appendErr = appendTo(large(p.from()), s.appends, grown); close(stop) })
	wg.Go(func() { times, lags, lagErr = watchGrowth(p, s.large, grown) })
	for i := 0; ; i++ {
		took, err := f.change(p, "small", fmt.Sprint(i), time.Minute)
		if err != nil {
			wg.Wait()
			return err
		}
		small = append(small, milliseconds(took))
		select {
		case <-stop:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	wg.Wait()
	if err := errors.Join(appendErr, lagErr); err != nil {
		return err
	}
	time.Sleep(s.pause)
	after, err1 := p.target.written()
	used, err2 := f.cpu()
	title := fmt.Sprintf("%d MiB file, %d appends", s.large>>20, s.appends)
	report(title, "weir", fmt.Sprintf("%d MiB written on the target, %.1f s of CPU", (after-before)>>20, (used-busy).Seconds()))
	report(title, "weir, lag of that file", fmt.Sprintf("median %.0f ms, 99th percentile %.0f, most %.0f (%d appends)",
		median(lags), quantile(lags, 0.99), quantile(lags, 1), len(times)))
	report(title, "weir, other small files", fmt.Sprintf("median %.1f ms, 99th percentile %.1f (%d changes)",
		median(small), quantile(small, 0.99), len(small)))
	return errors.Join(err1, err2)
}

// appendTo appends count times, and tells when.
func appendTo(path string, count int, grown chan<- time.Time) error {
	defer close(grown)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	tick := time.NewTicker(appendEvery)
	defer tick.Stop()
	for range count {
		if _, err := file.Write(make([]byte, 4096)); err != nil {
			return err
		}
		grown <- time.Now()
		<-tick.C
	}
	return nil
}

// watchGrowth returns when each append was made, and after how many milliseconds the replica had it.
func watchGrowth(p pair, size int64, grown <-chan time.Time) (times []time.Time, lags []float64, err error) {
	deadline := time.Now().Add(10 * time.Minute)
	for open := true; open || len(lags) < len(times); {
		select {
		case at, more := <-grown:
			if open = more; more {
				times = append(times, at)
			} else {
				grown = nil
			}
			continue
		case <-time.After(5 * time.Millisecond):
		}
		info, err := os.Stat(large(p.to()))
		if err != nil {
			return nil, nil, err
		}
		for len(lags) < len(times) && info.Size() >= size+4096*int64(len(lags)+1) {
			lags = append(lags, milliseconds(time.Since(times[len(lags)])))
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%d of %d appends are on the replica after 10 minutes", len(lags), len(times))
		}
	}
	return times, lags, nil
}

func awaitSize(path string, size int64) error {
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		info, err := os.Stat(path)
		if err == nil && info.Size() >= size {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not there after 10 minutes", path)
		}
	}
}

// rsyncAppend appends once and lets rsync bring it over.
func rsyncAppend(s settings, p pair, flags []string) error {
	file, err := os.OpenFile(large(p.from()), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, string(make([]byte, 4096)))
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	before, err := p.target.written()
	if err != nil {
		return err
	}
	start := time.Now()
	command := exec.Command("rsync", append(flags, large(p.from()), p.to()+"/")...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("rsync: %w: %s", err, out)
	}
	after, err := p.target.written()
	report(fmt.Sprintf("%d MiB file, 1 append", s.large>>20), "rsync "+flags[len(flags)-1],
		fmt.Sprintf("%d MiB written on the target, %.0f ms with syncfs", (after-before)>>20, milliseconds(time.Since(start))))
	return err
}
