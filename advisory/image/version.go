package image

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/weirfs/weir/advisory"
)

const (
	fixedSize      = 52         // bytes of VS_FIXEDFILEINFO
	fixedSignature = 0xfeef04bd // with which they begin
	maxText        = 256        // characters of a string that are kept
)

// block is one of the nested structures of a version resource, which all have the same head: VS_VERSIONINFO, StringFileInfo,
// StringTable, String.
type block struct {
	key   string
	value []byte // as long as the head says; of a string, whatever follows the key
	rest  []byte // what follows the value: blocks
}

// readVersion fills in the version and the strings from a version resource.
func (m *Image) readVersion(resource []byte) error {
	root, _, err := nextBlock(resource)
	if err != nil {
		return err
	}
	if root.key != "VS_VERSION_INFO" || len(root.value) < fixedSize ||
		binary.LittleEndian.Uint32(root.value) != fixedSignature {
		return fmt.Errorf("%w: its version resource does not begin with a version", ErrDamaged)
	}
	ms, ls := binary.LittleEndian.Uint32(root.value[8:]), binary.LittleEndian.Uint32(root.value[12:])
	m.Version = advisory.Version{uint16(ms >> 16), uint16(ms), uint16(ls >> 16), uint16(ls)}
	table, err := firstTable(root.rest)
	if err != nil {
		return err
	}
	return m.readStrings(table)
}

// firstTable returns the strings of the first table in the first StringFileInfo among blocks; none, if there is none.
func firstTable(blocks []byte) ([]byte, error) {
	for !ended(blocks) {
		info, following, err := nextBlock(blocks)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(info.key, "StringFileInfo") {
			if ended(info.rest) {
				return nil, nil
			}
			table, _, err := nextBlock(info.rest)
			return table.rest, err
		}
		blocks = following
	}
	return nil, nil
}

// readStrings fills in the strings from a table; of two with one name the first counts.
func (m *Image) readStrings(table []byte) error {
	wanted := map[string]*string{"fileversion": &m.FileVersion, "originalfilename": &m.OriginalFilename}
	for !ended(table) {
		s, following, err := nextBlock(table)
		if err != nil {
			return err
		}
		name := strings.ToLower(s.key)
		if field, ok := wanted[name]; ok {
			*field = text(s.value)
			delete(wanted, name)
		}
		table = following
	}
	return nil
}

// ended tells whether nothing but padding is left.
func ended(blocks []byte) bool {
	for _, c := range blocks {
		if c != 0 {
			return false
		}
	}
	return true
}

// nextBlock takes one block off the front, and returns what follows it. Values and blocks begin at multiples of 4 bytes.
func nextBlock(b []byte) (first block, following []byte, err error) {
	const head = 6
	if len(b) < head {
		return first, nil, fmt.Errorf("%w: its version resource is cut", ErrDamaged)
	}
	size, valueSize := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	isText := binary.LittleEndian.Uint16(b[4:]) != 0
	if size < head || size > len(b) {
		return first, nil, fmt.Errorf("%w: its version resource has a part of %d bytes, and %d bytes for it", ErrDamaged, size, len(b))
	}
	whole := b[:size]
	key, ok := untilNUL(whole[head:])
	if !ok {
		return first, nil, fmt.Errorf("%w: its version resource has a part whose name does not end", ErrDamaged)
	}
	first.key = string(utf16.Decode(key))
	value := after(whole, head+2*(len(key)+1))
	if isText {
		// The size counts characters here; not all compilers agree, and a text ends with its NUL anyhow.
		first.value, valueSize = value, 2*valueSize
	} else {
		first.value = value[:min(valueSize, len(value))]
	}
	first.rest = after(value, valueSize)
	return first, after(b, size), nil
}

// after returns what follows the first n bytes of b and the padding behind these. It is right for what itself begins at a
// multiple of 4 bytes, as all blocks and values do.
func after(b []byte, n int) []byte { return b[min((n+3)&^3, len(b)):] }

// untilNUL returns the characters before the first NUL, and whether there is one.
func untilNUL(b []byte) (units []uint16, ok bool) {
	for ; len(b) >= 2; b = b[2:] {
		unit := binary.LittleEndian.Uint16(b)
		if unit == 0 {
			return units, true
		}
		units = append(units, unit)
	}
	return units, false
}

// text returns what a terminal may print of a string of a version resource.
func text(value []byte) string {
	units, _ := untilNUL(value[:min(len(value), 2*maxText)])
	printable := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Zs, r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, string(utf16.Decode(units)))
	return strings.TrimRight(printable, " ")
}
