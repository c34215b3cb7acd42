package at

import "golang.org/x/sys/unix"

// WriteOut begins to write a range of a file's dirty pages to the device, or with wait returns when they
// have been written. It makes nothing durable: sync_file_range(2).
func WriteOut(fd int, offset, length int64, wait bool) error {
	flags := unix.SYNC_FILE_RANGE_WRITE
	if wait {
		flags |= unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	}
	return uninterrupted(func() error { return unix.SyncFileRange(fd, offset, length, flags) })
}
