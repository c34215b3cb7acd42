package fanotify

import "golang.org/x/sys/unix"

// Flags of fanotify_init(2).
const (
	// InitObserve asks for notification events that carry the directory's handle, the entry's name and
	// the object's handle, in a queue of fs.fanotify.max_queued_events (Linux 5.17).
	InitObserve = unix.FAN_CLASS_NOTIF | unix.FAN_REPORT_DFID_NAME_TARGET
	// InitMounts asks for events of mount namespaces (Linux 6.15).
	InitMounts = unix.FAN_CLASS_NOTIF | unix.FAN_REPORT_MNT
	// InitUnlimitedQueue lifts the limit of the queue. It needs CAP_SYS_ADMIN.
	InitUnlimitedQueue = unix.FAN_UNLIMITED_QUEUE
)

// Objects of fanotify_mark(2).
const (
	MarkFilesystem     = unix.FAN_MARK_FILESYSTEM
	MarkMountNamespace = unix.FAN_MARK_MNTNS
)

// Bits of an event's mask.
const (
	Modify     = unix.FAN_MODIFY
	Attrib     = unix.FAN_ATTRIB
	Open       = unix.FAN_OPEN
	Access     = unix.FAN_ACCESS
	CloseWrite = unix.FAN_CLOSE_WRITE
	Create     = unix.FAN_CREATE
	Delete     = unix.FAN_DELETE
	Rename     = unix.FAN_RENAME
	OnDir      = unix.FAN_ONDIR
	Overflow   = unix.FAN_Q_OVERFLOW
	MntAttach  = unix.FAN_MNT_ATTACH
	MntDetach  = unix.FAN_MNT_DETACH
)

// Types of information records.
const (
	infoFID         = unix.FAN_EVENT_INFO_TYPE_FID
	infoDFIDName    = unix.FAN_EVENT_INFO_TYPE_DFID_NAME
	infoDFID        = unix.FAN_EVENT_INFO_TYPE_DFID
	infoMnt         = unix.FAN_EVENT_INFO_TYPE_MNT
	infoOldDFIDName = unix.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME
	infoNewDFIDName = unix.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME
)
