// Package volume finds out which volumes exist, what they are, and lends their roots.
//
// One volume is one superblock incarnation, with all the mounts that show it, in whatever mount namespace. It
// arrives with its first mount and leaves with its last; the same device mounted again is another volume
// with another number. The package follows mounts by fanotify's mount events and statmount(2) (Linux 6.15),
// and by poll(2) on /proc/self/mountinfo before that.
//
// # Other mount namespaces
//
// Of a namespace that comes or goes nothing tells, so the package counts them, every 100 ms while something happens
// and every second else (see watch.go). The kernel's list (Linux 6.12, in the initial pid namespace) has those too that
// no process is in; without it they are found by the processes of /proc. A namespace that is found is marked for
// mount events where there are any, then listed; else it is listed each time. A namespace that dies takes its mounts
// along and tells none of it, and device numbers are given again at once: so before a mount is added to a volume that
// only other namespaces show, one of those mounts is looked at, and taken for proof if it is there. Nothing is kept
// open on a namespace. What is opened in one is opened by a thread that enters it for that, on a clone.
//
// Paths and the table of mounts are those of weir's own namespace, as before: a volume that only others show is at no
// path, and is borrowed with an empty one.
//
// It owns every descriptor on a volume and keeps none on an idle one, visible or detached: a visible one
// makes umount(2) fail, a detached one lets it return before the data is on the disk. Nor does it look up
// paths that end on a visible mount, which makes umount(2) fail for a microsecond: it enters a private
// clone of the mounts around the mount point instead (see internal/sys/mount). A mount that carries others
// cannot be unmounted before them, so it is cloned directly. Exceptions, each of a few microseconds: paths
// that lead through a symbolic link, and mount points that lie beside more than 128 other mounts. While such
// a clone is made, for about 0.1 ms, it pins the volumes beside the one that is wanted: a umount of one of
// them in that time returns before its flush has ended.
//
// # How mounts that came and went between two looks are told apart
//
// With unique mount ids (statmount) by the id. mountinfo shows numbers that are reused at once: the umount
// and new mount of a device can leave a line that is equal to the last character. So the package keeps a
// fanotify group with a mark on each volume's superblock that asks for no event (sentinels). The kernel
// drops the mark when the superblock dies, and lists the living ones in the group's fdinfo: reading it
// touches no volume. Where a volume refuses the mark, a mount is taken for the same if its number, parent,
// root, point, device, type, source and its place in the table's order are.
//
// With unique ids a volume gets a sentinel too, when it is looked at for the first time: it tells whether the
// volume lives on after its last mount has left (see detached.go).
//
// # Locks
//
//	Watcher.looking   looking at the kernel and applying what was seen; held over system calls that cannot
//	  │               hang on a volume (and over the placing of sentinels, which is bounded)
//	  └ Watcher.mu    the model, the volumes' state, leases, the queue of notices; nothing blocks under it
//
// Nothing is told to the sink under a lock.
//
// # Goroutines
//
// Run tells the sink, from its own goroutine, so a sink must return soon. A second goroutine waits in
// poll(2). Everything that touches a volume (examining it, borrowing from it) runs on a goroutine of its own
// with a bound or a context, so a volume that hangs delays nobody else; Run waits a second for those when it
// ends. Every exported method may be called from any goroutine, also from calls of the sink.
package volume
