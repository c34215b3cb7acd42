package at

import "golang.org/x/sys/unix"

// MayWrite returns nil if the caller may write to what n refers to: faccessat2(2), Linux 5.8, which also
// knows of read-only mounts and of chattr(1).
func MayWrite(n int) error {
	return uninterrupted(func() error {
		return unix.Faccessat2(n, "", unix.W_OK, unix.AT_EMPTY_PATH|unix.AT_EACCESS)
	})
}
