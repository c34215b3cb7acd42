package hive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
)

const (
	firstRead = 256 // what is read of a cell at once: most are shorter
	minValue  = 24  // bytes that the record of a value has at least, in its cell
	maxName   = 512 // bytes of a key's name; Windows allows 255 characters
)

// readFull reads all of p at the offset. An end of the file within it is an error that says so.
func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("%d bytes at %#x: %w", len(p), offset, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%d bytes at %#x: %w", len(p), offset, err)
}

// cell returns what is in the cell at that offset, of which least bytes are wanted and no more than most are read.
func (h *Hive) cell(at uint32, least, most int64) ([]byte, error) {
	start := int64(at)
	if at%8 != 0 || start+8 > h.bins {
		return nil, fmt.Errorf("offset %#x is that of no cell", at)
	}
	buf := make([]byte, min(firstRead, 4+most, h.bins-start))
	if err := readFull(h.r, buf, header+start); err != nil {
		return nil, err
	}
	// The size is negative where the cell is in use.
	size := -int64(int32(binary.LittleEndian.Uint32(buf)))
	switch {
	case size <= 0:
		return nil, fmt.Errorf("the cell at %#x is free", at)
	case size < 8 || size%8 != 0 || start+size > h.bins:
		return nil, fmt.Errorf("the cell at %#x has no possible size: %d bytes", at, size)
	case size-4 < least:
		return nil, fmt.Errorf("the cell at %#x has %d bytes, where %d are needed", at, size-4, least)
	}
	want := min(size, 4+most)
	if have := int64(len(buf)); want > have {
		buf = append(buf, make([]byte, want-have)...)
		if err := readFull(h.r, buf[have:], header+start+have); err != nil {
			return nil, err
		}
	}
	return buf[4:want], nil
}

// node is what weir needs of a key's record (nk).
type node struct {
	name            string
	subkeys, values uint32 // how many there are
	keyList, list   uint32 // the offsets of their lists
}

// node reads the record at that offset.
func (h *Hive) node(at uint32) (node, error) {
	const fixed = 76
	raw, err := h.cell(at, fixed, fixed+maxName)
	if err != nil {
		return node{}, fmt.Errorf("key: %w", err)
	}
	if string(raw[:2]) != "nk" {
		return node{}, fmt.Errorf("key: the cell at %#x begins with %q", at, raw[:2])
	}
	le := binary.LittleEndian
	name, err := decode(raw[fixed:], int(le.Uint16(raw[72:])), le.Uint16(raw[2:])&0x20 != 0)
	if err != nil {
		return node{}, fmt.Errorf("key at %#x: %w", at, err)
	}
	n := node{
		name: name, subkeys: le.Uint32(raw[20:]), keyList: le.Uint32(raw[28:]),
		values: le.Uint32(raw[36:]), list: le.Uint32(raw[40:]),
	}
	// Each has a record of its own, so that a file has room for so many and no more.
	if int64(n.subkeys) > h.bins/(4+fixed) || int64(n.values) > h.bins/minValue {
		return node{}, fmt.Errorf("key %q: the file has no room for %d keys and %d values", name, n.subkeys, n.values)
	}
	return n, nil
}

// decode returns a name of that many bytes: of Latin-1 if it is compressed, of UTF-16 if not.
func decode(raw []byte, size int, compressed bool) (string, error) {
	if size > len(raw) {
		return "", fmt.Errorf("its name of %d bytes does not fit into its cell", size)
	}
	if !compressed {
		if size%2 != 0 {
			return "", fmt.Errorf("its name has %d bytes, which is no whole number of characters", size)
		}
		return string(utf16.Decode(units(raw[:size]))), nil
	}
	runes := make([]rune, size)
	for i, b := range raw[:size] {
		runes[i] = rune(b)
	}
	return string(runes), nil
}

// units are the 16-bit units of UTF-16, low byte first.
func units(raw []byte) []uint16 {
	all := make([]uint16, len(raw)/2)
	for i := range all {
		all[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return all
}

// subkeys calls visit with the offset of each subkey's record until it returns false. Unless it does, the error is nil only if
// there were as many as the key's record says.
func (h *Hive) subkeys(n node, visit func(at uint32) bool) error {
	if n.subkeys == 0 {
		return nil
	}
	left, stopped := n.subkeys, false
	leaf := func(signature string, entries []byte) error {
		step := 8
		if signature == "li" {
			step = 4
		}
		for ; len(entries) >= step && !stopped; entries = entries[step:] {
			if left == 0 {
				return fmt.Errorf("its lists have more than the %d subkeys that the key says it has", n.subkeys)
			}
			left--
			stopped = !visit(binary.LittleEndian.Uint32(entries))
		}
		return nil
	}
	signature, entries, err := h.keyList(n.keyList, "li", "lf", "lh", "ri")
	if err != nil {
		return err
	}
	if signature != "ri" {
		err = leaf(signature, entries)
	}
	for ; signature == "ri" && len(entries) >= 4 && err == nil && !stopped; entries = entries[4:] {
		kind, part, failed := h.keyList(binary.LittleEndian.Uint32(entries), "li", "lf", "lh")
		if err = failed; err == nil {
			err = leaf(kind, part)
		}
	}
	if err == nil && !stopped && left > 0 {
		err = fmt.Errorf("its lists have %d subkeys, where the key says %d", n.subkeys-left, n.subkeys)
	}
	return err
}

// keyList reads a list of subkeys, or of such lists, and returns its signature, which is one of those given, and its entries.
func (h *Hive) keyList(at uint32, signatures ...string) (string, []byte, error) {
	raw, err := h.cell(at, 4, 4)
	if err != nil {
		return "", nil, fmt.Errorf("list of subkeys: %w", err)
	}
	signature, size := string(raw[:2]), 4+4*int64(binary.LittleEndian.Uint16(raw[2:]))
	if !slices.Contains(signatures, signature) {
		return "", nil, fmt.Errorf("list of subkeys: the cell at %#x begins with %q", at, signature)
	}
	if signature == "lf" || signature == "lh" {
		size += size - 4
	}
	if raw, err = h.cell(at, size, size); err != nil {
		return "", nil, fmt.Errorf("list of subkeys: %w", err)
	}
	return signature, raw[4:], nil
}
