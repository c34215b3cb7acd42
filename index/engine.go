package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// openEngine tells damage from a disk that does not work: a failed system call is the disk's, unless it
// says that a file is missing; everything else is a file that does not hold what was written.
func openEngine(dir string, exists bool, o *pebble.Options) (engine *pebble.DB, err error) {
	const op = "open the index"
	defer func() {
		if r := recover(); r != nil {
			engine, err = nil, fmt.Errorf("%s: %w: %v", op, ErrDamaged, r)
		}
	}()
	o.ErrorIfNotExists = exists
	o.ErrorIfNotPristine = !exists
	engine, err = pebble.Open(dir, o)
	if err == nil {
		return engine, nil
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ENOENT {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return nil, fmt.Errorf("%s: %w: %w", op, ErrDamaged, err)
}

// unlocked is a file system without locks, see Open.
type unlocked struct{ vfs.FS }

func (unlocked) Lock(string) (io.Closer, error) { return noLock{}, nil }

func (u unlocked) Unwrap() vfs.FS { return u.FS }

type noLock struct{}

func (noLock) Close() error { return nil }

// engineLog passes on what the engine says.
type engineLog struct{ log *slog.Logger }

func (l engineLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("index engine", "text", fmt.Sprintf(format, args...))
	}
}

func (l engineLog) Errorf(format string, args ...any) {
	l.log.Warn("index engine", "text", fmt.Sprintf(format, args...))
}

// Fatalf must not return.
func (l engineLog) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("index engine: "+format, args...))
}
