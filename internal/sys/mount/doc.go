// Package mount wraps what Linux offers to look at mounts and to reach them: statmount(2) and
// listmount(2), /proc/PID/mountinfo, fanotify's mount events, walks of mount namespaces, and detached
// clones by open_tree(2).
//
// It owns the layouts of these interfaces and nothing else: no state, no goroutine, no opinion on what a
// volume is. Every descriptor that it returns is owned by the caller.
//
// Words of the kernel: a mount is one place in one mount namespace at which a directory of a superblock
// shows. It has a reusable number (the first column of mountinfo) and, since Linux 6.8, a unique 64-bit
// one. A detached mount is in no namespace that anybody can see.
//
// # What keeps umount(2) from succeeding
//
// A descriptor on a visible mount does, O_PATH or not, and so does a path lookup that ends on it, for the
// microsecond that it takes: of 3,000 umounts beside a loop of statx(2) on the mount's root a fifth failed
// with EBUSY, and 0.5 % beside a loop of open_tree(2) with OPEN_TREE_CLONE. A clone of the directory above
// the mount point, taken with everything mounted below it and made private before anybody enters, fails
// none (Linux 6.18): the lookup ends on the parent mount, which its child keeps busy anyway. See ClonePrivate.
package mount
