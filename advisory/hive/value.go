package hive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	maxValue = 1 << 20 // bytes of a value that are read; Windows' own manual says that long ones belong into files
	segment  = 16344   // what a segment of a long value holds
)

// The types of values that are read.
const (
	typeText     = 1 // REG_SZ
	typeExpand   = 2 // REG_EXPAND_SZ
	typeBytes    = 3 // REG_BINARY
	typeNumber   = 4 // REG_DWORD
	typeTextList = 7 // REG_MULTI_SZ
)

// String returns the text of a value of type REG_SZ, or of REG_EXPAND_SZ as it is, up to its first NUL. The name is compared
// without case; "" is the default value. The error is ErrAbsent if there is no such value, and else says what is wrong with it:
// its type, its length (over 1 MiB is refused) or the record. The text is as found: it may hold any character, and what is no
// valid UTF-16 is U+FFFD.
func (k Key) String(name string) (string, error) {
	raw, err := k.value(name, true, typeText, typeExpand)
	if err != nil {
		return "", err
	}
	text := units(raw)
	if i := slices.Index(text, 0); i >= 0 {
		text = text[:i]
	}
	return string(utf16.Decode(text)), nil
}

// Strings returns the texts of a value of type REG_MULTI_SZ. Empty ones between others and at the end are kept, since
// PendingFileRenameOperations has its meaning by them; a value of one or two NULs alone has no texts. Errors are as String's.
func (k Key) Strings(name string) ([]string, error) {
	raw, err := k.value(name, true, typeTextList)
	if err != nil {
		return nil, err
	}
	text := units(raw)
	for range 2 { // the end of the list, then that of its last text
		if n := len(text); n > 0 && text[n-1] == 0 {
			text = text[:n-1]
		}
	}
	if len(text) == 0 {
		return nil, nil
	}
	return strings.Split(string(utf16.Decode(text)), "\x00"), nil
}

// Number returns the number of a value of type REG_DWORD. Errors are as String's.
func (k Key) Number(name string) (uint32, error) {
	raw, err := k.value(name, false, typeNumber)
	if err != nil {
		return 0, err
	}
	if len(raw) != 4 {
		return 0, fmt.Errorf("read value %q of %q: a number of %d bytes, where 4 are needed", name, k.path, len(raw))
	}
	return binary.LittleEndian.Uint32(raw), nil
}

// Bytes returns the bytes of a value of type REG_BINARY. Errors are as String's.
func (k Key) Bytes(name string) ([]byte, error) { return k.value(name, false, typeBytes) }

// Values returns how many values the key has, by its own account; 0 for the zero value.
func (k Key) Values() int { return int(k.node.values) }

// value returns the bytes of a value that has one of those types, whole characters if it is text.
func (k Key) value(name string, text bool, types ...uint32) ([]byte, error) {
	raw, err := k.find(name, types)
	if err == nil && text && len(raw)%2 != 0 {
		err = fmt.Errorf("%d bytes are no whole number of characters", len(raw))
	}
	if err != nil {
		return nil, fmt.Errorf("read value %q of %q: %w", name, k.path, err)
	}
	return raw, nil
}

// find looks for the value. Damage to another value does not hide one that is found.
func (k Key) find(name string, types []uint32) ([]byte, error) {
	h := k.hive
	if h == nil {
		return nil, errors.New("the key is the zero value")
	}
	if k.node.values == 0 {
		return nil, ErrAbsent
	}
	size := 4 * int64(k.node.values)
	list, err := h.cell(k.node.list, size, size)
	if err != nil {
		return nil, fmt.Errorf("list of values: %w", err)
	}
	var damage error
	for ; len(list) > 0; list = list[4:] {
		v, same, err := h.record(binary.LittleEndian.Uint32(list), name)
		switch {
		case err != nil && damage == nil:
			damage = err
		case same:
			if !slices.Contains(types, v.kind) {
				return nil, fmt.Errorf("it is of type %d, where %v is wanted", v.kind, types)
			}
			return h.data(v)
		}
	}
	if damage != nil {
		return nil, damage
	}
	return nil, ErrAbsent
}

// record is what weir needs of a value's record (vk).
type record struct {
	kind uint32
	size uint32 // of the data; the highest bit says that they stand in place of their offset
	at   uint32
	raw  [4]byte // the bytes of at
}

// record reads the one at that offset, and whether it has that name: names of other lengths are not read.
func (h *Hive) record(at uint32, name string) (v record, same bool, err error) {
	const fixed = 20
	length := len(utf16.Encode([]rune(name)))
	raw, err := h.cell(at, fixed, fixed+2*int64(length))
	if err != nil {
		return v, false, fmt.Errorf("value: %w", err)
	}
	if string(raw[:2]) != "vk" {
		return v, false, fmt.Errorf("value: the cell at %#x begins with %q", at, raw[:2])
	}
	le := binary.LittleEndian
	size, compressed := int(le.Uint16(raw[2:])), le.Uint16(raw[16:])&1 != 0
	if compressed && size != length || !compressed && size != 2*length {
		return v, false, nil
	}
	found, err := decode(raw[fixed:], size, compressed)
	if err != nil {
		return v, false, fmt.Errorf("value at %#x: %w", at, err)
	}
	return record{le.Uint32(raw[12:]), le.Uint32(raw[4:]), le.Uint32(raw[8:]), [4]byte(raw[8:12])}, strings.EqualFold(found, name), nil
}

// data reads the bytes of a value: from its record, from one cell, or from the segments of a long value (db), which versions
// from 1.4 on have.
func (h *Hive) data(v record) ([]byte, error) {
	size := int64(v.size &^ (1 << 31))
	switch {
	case v.size != uint32(size) && size > 4:
		return nil, fmt.Errorf("%d bytes do not fit into its record", size)
	case v.size != uint32(size):
		return v.raw[:size], nil
	case size == 0:
		return nil, nil
	case size > maxValue:
		return nil, fmt.Errorf("it has %d bytes, of which at most %d are read", size, maxValue)
	case h.minor < 4 || size <= segment:
		return h.cell(v.at, size, size)
	}
	// Some tools write a long value into one cell whatever the version; a db record is far shorter than any such value.
	raw, err := h.cell(v.at, 8, size)
	if err != nil || int64(len(raw)) == size {
		return raw, err
	}
	count := (size + segment - 1) / segment
	if string(raw[:2]) != "db" || int64(binary.LittleEndian.Uint16(raw[2:])) != count {
		return nil, fmt.Errorf("%d bytes are in neither one cell nor %d segments", size, count)
	}
	list, err := h.cell(binary.LittleEndian.Uint32(raw[4:]), 4*count, 4*count)
	if err != nil {
		return nil, fmt.Errorf("list of segments: %w", err)
	}
	data := make([]byte, 0, size)
	for ; len(list) > 0; list = list[4:] {
		want := min(segment, size-int64(len(data)))
		part, err := h.cell(binary.LittleEndian.Uint32(list), want, want)
		if err != nil {
			return nil, fmt.Errorf("segment %d: %w", int64(len(data))/segment+1, err)
		}
		data = append(data, part...)
	}
	return data, nil
}
