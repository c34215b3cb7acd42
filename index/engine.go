package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// engineOptions make the engine small: what it needs does not grow with the number of nodes.
func engineOptions(disk vfs.FS, g *guard) *pebble.Options {
	o := &pebble.Options{
		FS:                 disk,
		CacheSize:          12 << 20, // of which the memtables take up to 8
		MemTableSize:       4 << 20,
		MaxOpenFiles:       256,
		FormatMajorVersion: pebble.FormatValueSeparation, // a newer one needs a newer formatVersion
		Merger:             counting(),
		Logger:             engineLog{g},
		EventListener: &pebble.EventListener{
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				g.read()
				g.fail(fmt.Errorf("%w: %w", ErrDamaged, info.Details))
			},
		},
	}
	o.Experimental.FileCacheShards = 2
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.TargetFileSizes[i] = 4 << 20
	}
	return o
}

// openEngine opens a database that exists, or makes one where there is none.
func openEngine(disk vfs.FS, dir string, exists bool, g *guard) (*pebble.DB, error) {
	var engine *pebble.DB // not looked at after a failure, when the engine may still be at work
	err := g.run(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%w: %v", ErrDamaged, r)
			}
		}()
		o := engineOptions(disk, g)
		o.ErrorIfNotExists, o.ErrorIfExists = exists, !exists
		engine, err = pebble.Open(dir, o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the index: %w", judge(err))
	}
	return engine, nil
}

// judge tells damage from a disk that does not work: a failed system call is the disk's, unless it says
// that a file is missing; everything else is a file that does not hold what was written.
func judge(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, ErrDamaged) || errors.Is(err, ErrFailed):
		return err
	case errors.As(err, &errno) && errno != syscall.ENOENT:
		return err
	default:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// engineLog passes on what the engine says.
type engineLog struct{ guard *guard }

func (l engineLog) Infof(format string, args ...any) {
	if log := l.guard.log; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("index engine", "text", fmt.Sprintf(format, args...))
	}
}

func (l engineLog) Errorf(format string, args ...any) {
	l.guard.log.Warn("index engine", "text", fmt.Sprintf(format, args...))
}

// Fatalf is called where the engine cannot go on, and must not return.
func (l engineLog) Fatalf(format string, args ...any) {
	l.guard.fail(fmt.Errorf("%w: %w", ErrFailed, fmt.Errorf(format, args...)))
	l.guard.park()
}
