package tree

import (
	"fmt"

	"github.com/weirfs/weir/internal/sys/at"
)

// listBuffer is the size of the buffer for names, in bytes: larger ones are not faster.
const listBuffer = 16 << 10

// List calls fn with each name of the directory, without "." and "..", and the type bits of its mode, 0
// where the file system does not tell. It holds one buffer of names, however large the directory is. It
// stops at the first error of fn and returns it; nil means that the listing is complete. A listing of a
// directory that changes may miss names, also such as were there all the time under some name, and may tell
// a name twice. fn may change the directory. It opens the directory anew: btrfs (since Linux 6.5) shows through a
// descriptor only what was there when that was opened.
func (d *Dir) List(fn func(name string, typ uint32) error) error {
	own, err := d.again()
	if err != nil {
		return err
	}
	defer own.Close()
	l := lister{dir: own}
	for {
		entries, err := l.next()
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			if err := fn(e.Name, e.Type); err != nil {
				return err
			}
		}
	}
}

// lister reads a directory from its current position on.
type lister struct {
	dir     *Dir
	buf     []byte
	entries []at.Entry
}

// next returns some entries, none at the end of the directory. They are valid until the next call.
func (l *lister) next() ([]at.Entry, error) {
	if l.buf == nil {
		l.buf = make([]byte, listBuffer)
	}
	for {
		entries, more, err := at.List(l.dir.FD(), l.buf, l.entries[:0])
		l.entries = entries
		if err != nil {
			return nil, fmt.Errorf("list directory: %w", err)
		}
		if len(entries) > 0 || !more {
			return entries, nil
		}
	}
}
