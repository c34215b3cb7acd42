package mount

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// record composes one event as the kernel does.
func record(mask, id uint64) []byte {
	size := metadataSize + mountInfoLen
	if id == 0 {
		size = metadataSize
	}
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, uint32(size))
	b[4] = unix.FANOTIFY_METADATA_VERSION
	binary.NativeEndian.PutUint16(b[6:], metadataSize)
	binary.NativeEndian.PutUint64(b[8:], mask)
	if id != 0 {
		b[metadataSize] = unix.FAN_EVENT_INFO_TYPE_MNT
		binary.NativeEndian.PutUint16(b[metadataSize+2:], mountInfoLen)
		binary.NativeEndian.PutUint64(b[metadataSize+mountIDAt:], id)
	}
	return b
}

func TestParseEvents(t *testing.T) {
	buf := record(unix.FAN_MNT_ATTACH, 7)
	buf = append(buf, record(unix.FAN_MNT_ATTACH|unix.FAN_MNT_DETACH, 8)...)
	buf = append(buf, record(unix.FAN_Q_OVERFLOW, 0)...)
	got, err := ParseEvents(nil, buf)
	want := []Event{{ID: 7, Attached: true}, {ID: 8, Attached: true, Detached: true}, {Overflow: true}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for cut := 1; cut < metadataSize+mountInfoLen; cut++ {
		if got, err := ParseEvents(nil, buf[:cut]); err == nil {
			t.Errorf("%d bytes are read as %v", cut, got)
		}
	}
}

func FuzzParseEvents(f *testing.F) {
	f.Add(record(unix.FAN_MNT_ATTACH, 7))
	f.Add(append(record(unix.FAN_Q_OVERFLOW, 0), record(unix.FAN_MNT_DETACH, 9)...))
	f.Fuzz(func(t *testing.T, buf []byte) {
		if events, _ := ParseEvents(nil, buf); len(events) > len(buf)/metadataSize {
			t.Errorf("%d events in %d bytes", len(events), len(buf))
		}
	})
}
