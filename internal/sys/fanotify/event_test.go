package fanotify

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// record lays a record out as the kernel does.
func record(mask uint64, pid int32, infos ...[]byte) []byte {
	length := metadataLen
	for _, info := range infos {
		length += len(info)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(length))
	b = append(b, metadataVersion, 0)
	b = binary.NativeEndian.AppendUint16(b, metadataLen)
	b = binary.NativeEndian.AppendUint64(b, mask)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0))
	b = binary.NativeEndian.AppendUint32(b, uint32(pid))
	for _, info := range infos {
		b = append(b, info...)
	}
	return b
}

func fidInfo(kind byte, handleType uint32, handle, name string) []byte {
	n := fidLen + len(handle) + len(name)
	if name != "" {
		n++
	}
	padded := (n + 3) &^ 3
	b := append(make([]byte, 0, padded), kind, 0)
	b = binary.NativeEndian.AppendUint16(b, uint16(padded))
	b = binary.NativeEndian.AppendUint32(b, 0x11111111)
	b = binary.NativeEndian.AppendUint32(b, 0xffffffff)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(handle)))
	b = binary.NativeEndian.AppendUint32(b, handleType)
	b = append(b, handle...)
	b = append(b, name...)
	return b[:padded]
}

func mntInfo(id uint64) []byte {
	b := append(make([]byte, 0, mntLen), infoMnt, 0, mntLen, 0, 0, 0, 0, 0)
	return binary.NativeEndian.AppendUint64(b, id)
}

const testFSID = 0xffffffff11111111

func TestParse(t *testing.T) {
	buf := record(Create|Modify, 7,
		fidInfo(infoDFIDName, 1, "dirhandl", "name\n\xff"), fidInfo(infoFID, 1, "fileid", ""))
	buf = append(buf, record(Rename|OnDir, 8,
		fidInfo(infoOldDFIDName, 129, "old", "a"), fidInfo(infoNewDFIDName, 129, "new", "b"), fidInfo(infoFID, 129, "x", ""))...)
	buf = append(buf, record(Overflow, 0)...)
	buf = append(buf, record(MntAttach, 9, mntInfo(1<<40))...)
	buf = append(buf, record(Attrib, 1, fidInfo(200, 1, "future", ""), fidInfo(infoFID, 1, "", ""))...)
	want := []Event{
		{Mask: Create | Modify, PID: 7, Dir: FID{testFSID, []byte("\x01\x00\x00\x00dirhandl")}, Name: []byte("name\n\xff"), Object: FID{testFSID, []byte("\x01\x00\x00\x00fileid")}},
		{
			Mask: Rename | OnDir, PID: 8, Dir: FID{testFSID, []byte("\x81\x00\x00\x00old")}, Name: []byte("a"),
			NewDir: FID{testFSID, []byte("\x81\x00\x00\x00new")}, NewName: []byte("b"), Object: FID{testFSID, []byte("\x81\x00\x00\x00x")},
		},
		{Mask: Overflow},
		{Mask: MntAttach, PID: 9, MountID: 1 << 40},
		{Mask: Attrib, PID: 1, Object: FID{FSID: testFSID}},
	}
	var got []Event
	if err := Parse(buf, func(e *Event) bool { got = append(got, *e); return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("bytes", func(b []byte) string { return string(b) })); diff != "" {
		t.Error(diff)
	}
}

func TestParseStopsWhenTold(t *testing.T) {
	buf := append(record(Create, 1), record(Delete, 1)...)
	n := 0
	if err := Parse(buf, func(*Event) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d events, error %v; want 1 event", n, err)
	}
}

func TestParseMalformed(t *testing.T) {
	version := record(Create, 1)
	version[4] = 4
	long := record(Create, 1)
	binary.NativeEndian.PutUint32(long, 1000)
	handle := record(Create, 1, fidInfo(infoFID, 1, "abcd", ""))
	binary.NativeEndian.PutUint32(handle[metadataLen+12:], 0xffffffff)
	for name, tt := range map[string]struct {
		buf  []byte
		want string
	}{
		"short":           {record(Create, 1)[:10], "less than its metadata"},
		"version":         {version, "version 4"},
		"length":          {long, "buffer of 24"},
		"stray bytes":     {record(Create, 1, []byte{1, 2}), "stray bytes"},
		"info length":     {record(Create, 1, []byte{1, 0, 1, 0}), "information record of 1 bytes"},
		"info too long":   {record(Create, 1, []byte{1, 0, 8, 0}), "information record of 8 bytes"},
		"fid too short":   {record(Create, 1, []byte{1, 0, 4, 0}), "file identifier of 4 bytes"},
		"mount too short": {record(Create, 1, []byte{infoMnt, 0, 4, 0}), "mount record of 4 bytes"},
		"handle too long": {handle, "handle of 4294967295 bytes"},
	} {
		err := Parse(tt.buf, func(*Event) bool { return true })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(record(Create, 1, fidInfo(infoDFIDName, 1, "handle", "name"), fidInfo(infoFID, 1, "h", "")))
	f.Add(record(Rename, 1, fidInfo(infoOldDFIDName, 1, "handle", "name"), fidInfo(infoNewDFIDName, 1, "h", "n")))
	f.Add(record(MntDetach, 1, mntInfo(3)))
	f.Add(append(record(Overflow, 0), 1, 2, 3))
	f.Fuzz(func(t *testing.T, buf []byte) {
		total := 0
		err := Parse(buf, func(e *Event) bool {
			total += len(e.Name) + len(e.NewName)
			return true
		})
		if total > len(buf) {
			t.Errorf("names of %d bytes from a buffer of %d (error %v)", total, len(buf), err)
		}
	})
}
