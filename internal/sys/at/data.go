package at

import (
	"io"

	"golang.org/x/sys/unix"
)

// ReadAt reads until buf is full; at the end of the file it returns what there was and io.EOF.
func ReadAt(n int, buf []byte, offset int64) (read int, err error) {
	for read < len(buf) {
		var m int
		err := uninterrupted(func() (err error) {
			m, err = unix.Pread(n, buf[read:], offset+int64(read))
			return err
		})
		if err != nil {
			return read, err
		}
		if m == 0 {
			return read, io.EOF
		}
		read += m
	}
	return read, nil
}

// WriteAt writes all of buf.
func WriteAt(n int, buf []byte, offset int64) (written int, err error) {
	for written < len(buf) {
		var m int
		err := uninterrupted(func() (err error) {
			m, err = unix.Pwrite(n, buf[written:], offset+int64(written))
			return err
		})
		if err != nil {
			return written, err
		}
		if m == 0 {
			return written, io.ErrShortWrite
		}
		written += m
	}
	return written, nil
}

// Truncate sets the size of a file that is open for writing.
func Truncate(n int, size int64) error {
	return uninterrupted(func() error { return unix.Ftruncate(n, size) })
}

// Datasync makes the data of a file durable, and what is needed to read it.
func Datasync(n int) error { return uninterrupted(func() error { return unix.Fdatasync(n) }) }

// Sync makes the data and the attributes of a file or directory durable.
func Sync(n int) error { return uninterrupted(func() error { return unix.Fsync(n) }) }

// Syncfs makes everything durable that has been written to the file system, by anybody. It reports errors
// of writing that happened since n was opened.
func Syncfs(n int) error { return uninterrupted(func() error { return unix.Syncfs(n) }) }

// HasWriter reports whether anybody has the file open for writing or maps it writable. n is open for
// reading only. It asks for a read lease, which the kernel refuses with EAGAIN in that case, and gives it
// back at once. Whoever opens the file for writing in between waits that long; whoever does so with
// O_NONBLOCK gets EWOULDBLOCK.
func HasWriter(n int) (bool, error) {
	err := uninterrupted(func() error {
		_, err := unix.FcntlInt(uintptr(n), unix.F_SETLEASE, unix.F_RDLCK)
		return err
	})
	if err == unix.EAGAIN {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	_, err = unix.FcntlInt(uintptr(n), unix.F_SETLEASE, unix.F_UNLCK)
	return false, err
}
