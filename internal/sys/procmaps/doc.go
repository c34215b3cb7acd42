// Package procmaps lists the files that processes map shared and writable, from /proc/PID/maps.
//
// A store through such a mapping is the one change of a file's content that the kernel reports to nobody
// before the last of them is unmapped, so whoever follows files has to know which ones are mapped.
//
// Since Linux 6.11 an ioctl(2) on /proc/PID/maps returns only the mappings that are asked for
// (PROCMAP_QUERY, proc_pid_maps(5)); before that the text is parsed. Nothing that is mapped is opened: its
// file handle is taken through /proc/PID/map_files in one system call, so that no file system is pinned
// for longer than that, and one with a mapping is pinned by the mapping anyway.
//
// Device numbers are those of the superblock, as in mountinfo: on btrfs they differ from st_dev.
//
// What cannot be seen: processes of pid namespaces that are no descendants of the caller's, and mappings
// through overlayfs, which carry the overlay's device and not that of the file system below it. Reading needs
// CAP_SYS_PTRACE, and CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE for the handles.
//
// The package starts no goroutine and keeps no state. Looking at a process takes the lock of its address
// space: if a thread sits in that lock for ever, so does the caller.
package procmaps
