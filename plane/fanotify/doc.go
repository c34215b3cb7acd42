// Package fanotify is the plane that observes: one mark on a volume's superblock tells of every completed
// change on it, through whatever mount or namespace, with the directory's handle and the entry's name.
//
// It owns fanotify groups and their reading. It knows nothing of filters and of the manager, and keeps
// nothing open on a volume: the directory through which a superblock is marked is borrowed for the mark
// alone, and a mark neither delays umount nor outlives its superblock.
//
// # Groups
//
// A group has one bounded queue, and a record of its overflow names no volume. So each volume has a group
// of its own, and an overflow concerns one volume. But the kernel allows a user fs.fanotify.max_user_groups
// of them (128 by default, root included), so beyond half of that, or when the kernel says EMFILE,
// volumes share: events are told apart by the f_fsid of the superblock, and an overflow is told to all
// sharers. Copies of a volume have equal f_fsid (ext4 derives it from the UUID); they share a group only
// if there is no other, and are then told each other's operations too, which is harmless since an
// operation only says where to look.
//
// A volume's mark in a group is for what its attachments there want together, and is changed while it stands: new kinds of
// events are added before those that nobody wants any more are taken away. An attachment that wants nothing has a group and
// no mark, and costs nobody anything.
//
// # Latency and batches
//
// A reader that waits on an empty queue reads the first event at once, then pauses for a few
// milliseconds after each read. So a lone change is not delayed, and in a storm the events of one file
// merge into one in the kernel, which also spares the writer most wake-ups of the reader.
//
// # Goroutines and locks
//
// One goroutine per group reads and calls sinks. Plane.mu guards the list of groups; group.marking makes
// checking and changing a mark one step; group.mu guards the group's routes; gate.mu guards one
// attachment's state. They are taken in that order and never held over a system call that may block, or
// a call of a sink.
package fanotify
