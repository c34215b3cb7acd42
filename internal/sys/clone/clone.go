package clone

import "golang.org/x/sys/unix"

// Whole makes dst share all of src's data, at src's size (FICLONE). The errors that mean "not here" are
// told apart by Unable.
func Whole(dst, src int) error {
	return uninterrupted(func() error { return unix.IoctlFileClone(dst, src) })
}

// Unable reports whether the error of Whole or Range means that this pair of files cannot be cloned, or
// copied inside the kernel, while reading and writing may work.
func Unable(err error) bool {
	switch err {
	case unix.EOPNOTSUPP, unix.ENOTTY, unix.EXDEV, unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.ETXTBSY,
		unix.EBADF, unix.EISDIR:
		return true
	}
	return false
}

// OtherFileSystem reports whether the error says that the files lie on different file systems.
func OtherFileSystem(err error) bool { return err == unix.EXDEV }

// Range copies up to n bytes at one offset inside the kernel. It returns 0 at the end of src.
func Range(dst, src int, offset int64, n int) (copied int, err error) {
	err = uninterrupted(func() error {
		from, to := offset, offset
		copied, err = unix.CopyFileRange(src, &from, dst, &to, n, 0)
		return err
	})
	return copied, err
}

// Punch makes a range read as zeros and frees its blocks. The size of the file stays.
func Punch(n int, offset, length int64) error {
	return uninterrupted(func() error {
		return unix.Fallocate(n, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	})
}

// Data returns the first range of data at or after offset, within size. Space that was allocated and
// never written counts as a hole. ok is false if there is none. A file system that does not tell has one
// range of data, the whole file. It moves the descriptor's position.
func Data(n int, offset, size int64) (start, end int64, ok bool, err error) {
	if offset >= size {
		return 0, 0, false, nil
	}
	start, err = seek(n, offset, unix.SEEK_DATA)
	switch err {
	case nil:
	case unix.ENXIO:
		return 0, 0, false, nil
	case unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS:
		return offset, size, true, nil
	default:
		return 0, 0, false, err
	}
	if start >= size {
		return 0, 0, false, nil
	}
	end, err = seek(n, start, unix.SEEK_HOLE)
	if err == unix.ENXIO {
		// The file has become shorter meanwhile.
		return 0, 0, false, nil
	}
	if err != nil {
		return 0, 0, false, err
	}
	return start, min(end, size), true, nil
}

// Solid reports whether a file is known to have no holes within size, and no space that was allocated and
// never written. It moves the descriptor's position.
func Solid(n int, size int64) bool {
	hole, err := seek(n, 0, unix.SEEK_HOLE)
	return err == nil && hole >= size
}

func seek(n int, offset int64, whence int) (at int64, err error) {
	err = uninterrupted(func() error {
		at, err = unix.Seek(n, offset, whence)
		return err
	})
	return at, err
}

func uninterrupted(f func() error) (err error) {
	for range 1000 {
		if err = f(); err != unix.EINTR {
			return err
		}
	}
	return err
}
