package probe

import "golang.org/x/sys/unix"

// trials lists every probe, in the order of weir doctor: what mirror needs first.
func trials() []trial {
	return append(append(needed(), optional()...), capabilities()...)
}

func needed() []trial {
	return []trial{
		{Feature{
			"kernel", "the release that weir is tested on", "6.1", true, "refuses to run",
		}, tryRelease},
		{Feature{
			"change-events", "changes with directory handles and names, of a whole superblock", "5.17", true,
			"cannot follow changes",
		}, tryChangeEvents},
		{Feature{
			"file-handles", "finding a file again wherever it was moved", "2.6.39", true, "cannot tell a move from a deletion",
		}, tryHandles},
		{Feature{
			"mount-clones", "borrowing a volume without keeping it from being unmounted", "5.2", true,
			"would make umount fail",
		}, tryClone},
		{Feature{
			"private-clones", "the same while a umount is under way", "5.12", false,
			"a umount in the same few microseconds may fail with EBUSY",
		}, tryPrivateClone},
		{Feature{
			"confined-paths", "openat2: writing nowhere but inside the target", "5.6", true, "refuses to write",
		}, tryOpenat2},
		{Feature{
			"mount-table", "poll on /proc/self/mountinfo", "2.6.30", true, "cannot follow mounts",
		}, tryTable},
		{Feature{
			"event-queues", "fanotify groups, one per volume: fs.fanotify.max_user_groups", "5.13", true,
			"volumes share queues, and an overflow of one costs all of them a scan",
		}, tryGroups},
	}
}

func optional() []trial {
	return []trial{
		{Feature{
			"mount-events", "being told of each mount and umount", "6.15", false,
			"polls the mount table: 0.1 ms later, and a mount that stays for less is not met",
		}, tryMountEvents},
		{Feature{
			"statmount", "asking about one mount, completely", "6.13", false, "reads the whole mount table",
		}, tryStatmount},
		{Feature{
			"unique-mount-ids", "numbers of mounts that are never reused", "6.8", false,
			"compares what mountinfo shows, and marks superblocks with sentinels",
		}, tryUniqueID},
		{Feature{
			"sentinels", "telling a volume from the same device mounted again", "4.20", false,
			"without unique mount ids too, a very quick umount and mount may be overlooked",
		}, trySentinel},
		{Feature{
			"mount-namespaces", "listing the machine's mount namespaces", "6.12", false,
			"finds other mount namespaces by their processes; those without one are out of sight",
		}, tryNamespaces},
		{Feature{
			"enter-namespaces", "reaching volumes that only other mount namespaces show", "3.8", false,
			"such volumes are known by their names alone",
		}, tryEnter},
		{Feature{
			"detached-mounts", "marking the top of a btrfs of which a subvolume is mounted", "5.2", false,
			"such a btrfs is followed by scans",
		}, tryDetached},
		{Feature{
			"volume-uuid", "one ioctl for the UUID of any file system", "6.9", false,
			"asks ext4, xfs and btrfs by their own, and udev for others",
		}, tryUUID},
		{Feature{
			"pidfd", "knowing a process apart from a later one with its number", "5.3", false,
			"a process is known by number alone",
		}, tryPidfd},
	}
}

func capabilities() []trial {
	return []trial{
		capability("CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, true, "marks and clones of volumes", "cannot follow changes"),
		capability("CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH, true, "opening files by handle, reading all of them",
			"cannot tell a move from a deletion"),
		capability("CAP_DAC_OVERRIDE", unix.CAP_DAC_OVERRIDE, false, "writing where the mode forbids it",
			"what is not writable on a target is listed and retried"),
		capability("CAP_CHOWN", unix.CAP_CHOWN, false, "owners and groups", "copies belong to the user of weir; listed"),
		capability("CAP_FOWNER", unix.CAP_FOWNER, false, "modes, times and attributes of others' files",
			"only those of the user's own files are kept; listed"),
		capability("CAP_FSETID", unix.CAP_FSETID, false, "the setgid bit of others' groups", "the bit is not kept; listed"),
		capability("CAP_MKNOD", unix.CAP_MKNOD, false, "device nodes", "device nodes are not copied; listed"),
		capability("CAP_SETFCAP", unix.CAP_SETFCAP, false, "file capabilities", "file capabilities are not copied; listed"),
		capability("CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE, false, "who has a file mapped, of other users' processes",
			"mapped files of other users are looked at more often"),
	}
}
