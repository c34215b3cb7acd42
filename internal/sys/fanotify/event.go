package fanotify

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// FID is a file identifier: the file system and the handle that name_to_handle_at(2) would give. Inode
// is the handle's type (4 bytes, little endian) followed by its opaque bytes; it is empty if the kernel
// had none to give. It shares memory with the buffer that was parsed.
type FID struct {
	FSID  uint64
	Inode []byte
}

// Event is one record. Its slices share memory with the buffer that was parsed.
type Event struct {
	Mask uint64
	PID  int // thread group of the process that caused it; 0 if it lives outside of the reader's pid namespace

	Dir  FID    // directory of the entry; of the old entry when Mask has Rename
	Name []byte // name of the entry; "." if the object is the directory itself
	// NewDir and NewName are set when Mask has Rename and the new directory is on the file system.
	NewDir  FID
	NewName []byte
	Object  FID

	MountID uint64 // unique id of a mount, for events of mount namespaces
}

const (
	metadataLen     = 24
	metadataVersion = 3
	infoHeaderLen   = 4
	fidLen          = 20 // header, fsid, handle_bytes, handle_type
	mntLen          = 16 // header, padding, unique mount id
)

// Parse calls yield for each record in buf, which is what one Read returned, and stops early when yield
// returns false. The Event is reused between calls. The error tells of a record that is not laid out as
// the manual says; records before it have been yielded.
func Parse(buf []byte, yield func(*Event) bool) error {
	var e Event
	for len(buf) > 0 {
		n, err := parseOne(buf, &e)
		if err != nil {
			return err
		}
		if !yield(&e) {
			return nil
		}
		buf = buf[n:]
	}
	return nil
}

func parseOne(buf []byte, e *Event) (int, error) {
	if len(buf) < metadataLen {
		return 0, fmt.Errorf("parse fanotify record: %d bytes are less than its metadata", len(buf))
	}
	length := int(binary.NativeEndian.Uint32(buf))
	info := int(binary.NativeEndian.Uint16(buf[6:]))
	if version := buf[4]; version != metadataVersion {
		return 0, fmt.Errorf("parse fanotify record: version %d instead of %d", version, metadataVersion)
	}
	if info < metadataLen || info > length || length > len(buf) {
		return 0, fmt.Errorf("parse fanotify record: metadata of %d bytes in a record of %d in a buffer of %d", info, length, len(buf))
	}
	*e = Event{
		Mask: binary.NativeEndian.Uint64(buf[8:]),
		PID:  int(int32(binary.NativeEndian.Uint32(buf[20:]))),
	}
	return length, parseInfo(buf[info:length], e)
}

func parseInfo(buf []byte, e *Event) error {
	for len(buf) > 0 {
		if len(buf) < infoHeaderLen {
			return fmt.Errorf("parse fanotify record: %d stray bytes after the information records", len(buf))
		}
		n := int(binary.NativeEndian.Uint16(buf[2:]))
		if n < infoHeaderLen || n > len(buf) {
			return fmt.Errorf("parse fanotify record: information record of %d bytes in %d", n, len(buf))
		}
		if err := parseRecord(buf[0], buf[:n], e); err != nil {
			return err
		}
		buf = buf[n:]
	}
	return nil
}

// parseRecord ignores types that it does not know: later kernels may add some.
func parseRecord(kind byte, rec []byte, e *Event) (err error) {
	switch kind {
	case infoFID:
		e.Object, _, err = parseFID(rec)
	case infoDFIDName, infoDFID, infoOldDFIDName:
		e.Dir, e.Name, err = parseFID(rec)
	case infoNewDFIDName:
		e.NewDir, e.NewName, err = parseFID(rec)
	case infoMnt:
		if len(rec) < mntLen {
			return fmt.Errorf("parse fanotify record: mount record of %d bytes", len(rec))
		}
		e.MountID = binary.NativeEndian.Uint64(rec[8:])
	}
	return err
}

// parseFID returns the identifier of a record and the name behind it, which ends at the first zero byte.
func parseFID(rec []byte) (FID, []byte, error) {
	if len(rec) < fidLen {
		return FID{}, nil, fmt.Errorf("parse fanotify record: file identifier of %d bytes", len(rec))
	}
	n := int(binary.NativeEndian.Uint32(rec[12:]))
	if n > len(rec)-fidLen {
		return FID{}, nil, fmt.Errorf("parse fanotify record: handle of %d bytes in a record of %d", n, len(rec))
	}
	fid := FID{FSID: FSIDOf([2]int32{
		int32(binary.NativeEndian.Uint32(rec[4:])), int32(binary.NativeEndian.Uint32(rec[8:])),
	})}
	if n > 0 {
		// The type stands right before the opaque bytes, so that the two are one slice; it is little
		// endian already on the machines that weir runs on, and made so on others.
		fid.Inode = littleEndianType(rec[16 : fidLen+n])
	}
	name, _, _ := bytes.Cut(rec[fidLen+n:], []byte{0})
	return fid, name, nil
}

func littleEndianType(handle []byte) []byte {
	binary.LittleEndian.PutUint32(handle, binary.NativeEndian.Uint32(handle))
	return handle
}
