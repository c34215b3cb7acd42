// Package fanotify speaks fanotify(7) with the kernel: groups, marks, and the records that a read returns.
//
// It owns the group's descriptor and the layout of records. It does not know what an event means, keeps
// no list of marks and starts no goroutine. Names of constants are those of the manual; the constants
// themselves come from golang.org/x/sys/unix and are repeated here, so that the packages above need no
// raw numbers.
//
// A Group is safe for concurrent use, but Read must be called by one goroutine at a time. Reads wait in
// the runtime's poller, not in a thread of their own: hundreds of idle groups cost no thread, and Close
// ends a waiting Read.
//
// Sources: fanotify(7), fanotify_init(2), fanotify_mark(2), include/uapi/linux/fanotify.h of Linux 6.18.
package fanotify
