package index

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weirfs/weir"
)

// ErrDamaged says that the files of the index do not hold what was written. The caller closes the index,
// sets its directory aside and rebuilds it by comparing the replica with its source.
var ErrDamaged = errors.New("the index is damaged")

// ErrFailed says that the disk of the index has failed a write. Everything that was durable still is. The
// caller closes the index and opens it again, after a while.
var ErrFailed = errors.New("the disk of the index has failed")

// ErrClosed is returned by everything after Close.
var ErrClosed = errors.New("the index is closed")

// wrap names the operation and tells damage that the engine has found from other failures.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if pebble.IsCorruptionError(err) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w: %w", op, ErrDamaged, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

func failedSync(err error) error { return fmt.Errorf("%w: sync: %w", ErrFailed, err) }

func refused(op, path string, err error, hint string) error {
	return &weir.Error{Op: op, Kind: weir.KindRefused, Path: path, Err: err, Hint: hint}
}
