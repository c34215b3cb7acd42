package mount

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/fd"
)

// Event is one mount event: the mount with a unique id was attached to or detached from a namespace. A move
// within the namespace is one event with both. A namespace that dies, a remount and a change of propagation
// make none.
type Event struct {
	ID       uint64
	Attached bool
	Detached bool
	Overflow bool // events were lost; the other fields are empty
}

// Events is a fanotify group for mount events (Linux 6.15). It is not safe for concurrent use, except that
// a Waiter may wait on it.
type Events struct {
	group *fd.FD
	buf   [16 << 10]byte
}

// NewEvents makes a group without limits on its queue and its marks. It takes one of the user's fs.fanotify.max_user_groups
// (EMFILE), and fails with EINVAL before Linux 6.15.
func NewEvents() (*Events, error) {
	n, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_MNT|unix.FAN_UNLIMITED_QUEUE|
		unix.FAN_UNLIMITED_MARKS|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("fanotify_init for mount events: %w", err)
	}
	return &Events{group: fd.New(n)}, nil
}

// Close closes the group.
func (e *Events) Close() error { return e.group.Close() }

// Mark adds a mount namespace. The mark goes with the namespace, and does not keep it.
func (e *Events) Mark(namespace *fd.FD) error {
	err := unix.FanotifyMark(e.group.Int(), unix.FAN_MARK_ADD|unix.FAN_MARK_MNTNS,
		unix.FAN_MNT_ATTACH|unix.FAN_MNT_DETACH, namespace.Int(), "")
	if err != nil {
		return fmt.Errorf("mark a mount namespace: %w", err)
	}
	return nil
}

// MarkOwn adds the mount namespace of the process.
func (e *Events) MarkOwn() error {
	own, err := openNamespace(ownNamespace)
	if err != nil {
		return err
	}
	defer own.Close()
	return e.Mark(own)
}

// Read appends the events that are queued, at most one buffer of them, and does not block: nothing is
// appended if there is none. An event is queued before the mount(2) or umount(2) that made it returns.
func (e *Events) Read(events []Event) ([]Event, error) {
	for {
		n, err := unix.Read(e.group.Int(), e.buf[:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return events, nil
		case err != nil:
			return events, fmt.Errorf("read mount events: %w", err)
		}
		return ParseEvents(events, e.buf[:n])
	}
}

var errMalformedEvent = errors.New("malformed mount event")

const (
	metadataSize = 24 // struct fanotify_event_metadata
	mountInfoLen = 16 // struct fanotify_event_info_mnt: header, 4 bytes of padding, u64
	mountIDAt    = 8
)

// ParseEvents appends the events in a buffer that was read from a group.
func ParseEvents(events []Event, buf []byte) ([]Event, error) {
	for len(buf) > 0 {
		if len(buf) < metadataSize {
			return events, errMalformedEvent
		}
		length := int(binary.NativeEndian.Uint32(buf))
		header := int(binary.NativeEndian.Uint16(buf[6:]))
		if length < metadataSize || length > len(buf) || header < metadataSize || header > length {
			return events, errMalformedEvent
		}
		mask := binary.NativeEndian.Uint64(buf[8:])
		event := Event{
			Attached: mask&unix.FAN_MNT_ATTACH != 0,
			Detached: mask&unix.FAN_MNT_DETACH != 0,
			Overflow: mask&unix.FAN_Q_OVERFLOW != 0,
		}
		id, ok := mountID(buf[header:length])
		if !ok && !event.Overflow {
			return events, errMalformedEvent
		}
		event.ID = id
		events = append(events, event)
		buf = buf[length:]
	}
	return events, nil
}

// mountID finds the information record about a mount.
func mountID(records []byte) (uint64, bool) {
	for len(records) >= 4 {
		length := int(binary.NativeEndian.Uint16(records[2:]))
		if length < 4 || length > len(records) {
			return 0, false
		}
		if records[0] == unix.FAN_EVENT_INFO_TYPE_MNT && length >= mountInfoLen {
			return binary.NativeEndian.Uint64(records[mountIDAt:]), true
		}
		records = records[length:]
	}
	return 0, false
}
