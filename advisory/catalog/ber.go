package catalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// maxDepth is how deep values may nest: a real catalog with the token of a time stamp, and all certificates in it, has 25 levels.
const maxDepth = 64

// Classes and tags of ASN.1 that catalogs use.
const (
	universal = 0
	context   = 2

	tagInteger         = 2
	tagOctets          = 4
	tagOID             = 6
	tagSequence        = 16
	tagSet             = 17
	tagUTCTime         = 23
	tagGeneralizedTime = 24
	tagBMPString       = 30
)

var errShort = errors.New("the data ends within a value")

// header is what stands before the content of a value.
type header struct {
	class       int
	tag         int
	constructed bool
	size        int // of the header itself, in bytes
	length      int // of the content, in bytes; -1 where the end is marked
}

// readHeader reads the header at the start of b and checks that a stated length fits into b.
func readHeader(b []byte) (header, error) {
	if len(b) < 2 {
		return header{}, errShort
	}
	h := header{class: int(b[0] >> 6), tag: int(b[0] & 0x1f), constructed: b[0]&0x20 != 0, size: 1}
	if h.tag == 0x1f {
		return header{}, errors.New("a tag is above 30")
	}
	first := int(b[1])
	h.size = 2
	switch {
	case first < 0x80:
		h.length = first
	case first == 0x80:
		if !h.constructed {
			return header{}, errors.New("a primitive value has no length")
		}
		h.length = -1
		return h, nil
	default:
		count := first & 0x7f
		if count > 4 || len(b) < 2+count {
			return header{}, fmt.Errorf("a length has %d bytes: %w", count, errShort)
		}
		for _, c := range b[2 : 2+count] {
			h.length = h.length<<8 | int(c)
		}
		h.size += count
	}
	if h.length < 0 || h.length > len(b)-h.size {
		return header{}, errShort
	}
	return h, nil
}

// toDER returns the first value of b in the distinguished encoding, as far as its lengths go, and what follows it: marked ends
// become lengths, lengths become as short as they can be, and octet strings in pieces become whole. Time is in proportion to the
// size of b times its depth, memory to its size.
func toDER(b []byte) (value, rest []byte, err error) {
	value, size, err := appendDER(make([]byte, 0, len(b)), b, 0, false)
	if err != nil {
		return nil, nil, err
	}
	return value, b[size:], nil
}

// appendDER appends the value at the start of b to dst and returns its size in b. A piece of an octet string is appended without
// its header.
func appendDER(dst, b []byte, depth int, piece bool) ([]byte, int, error) {
	if depth > maxDepth {
		return nil, 0, fmt.Errorf("values nest deeper than %d levels", maxDepth)
	}
	h, err := readHeader(b)
	if err != nil {
		return nil, 0, err
	}
	octets := h.class == universal && h.tag == tagOctets
	if piece && !octets {
		return nil, 0, errors.New("a piece of an octet string is none")
	}
	start, size := len(dst), h.size
	for h.constructed && !h.ended(b, size) {
		n := 0
		if dst, n, err = appendDER(dst, b[size:h.limit(b)], depth+1, octets); err != nil {
			return nil, 0, err
		}
		size += n
	}
	switch {
	case !h.constructed:
		dst = append(dst, b[size:size+h.length]...)
		size += h.length
	case h.length < 0:
		size += 2
	}
	if piece {
		return dst, size, nil
	}
	identifier := b[0]
	if octets {
		identifier = tagOctets
	}
	return slices.Insert(dst, start, makeHeader(identifier, len(dst)-start)...), size, nil
}

// ended reports whether the content of the value that b begins with ends at offset at.
func (h header) ended(b []byte, at int) bool {
	if h.length < 0 {
		return bytes.HasPrefix(b[at:], []byte{0, 0})
	}
	return at == h.limit(b)
}

// limit is the offset in b that the content of the value does not pass.
func (h header) limit(b []byte) int {
	if h.length < 0 {
		return len(b)
	}
	return h.size + h.length
}

// makeHeader returns the header of a value of that length.
func makeHeader(identifier byte, length int) []byte {
	if length < 0x80 {
		return []byte{identifier, byte(length)}
	}
	size := binary.BigEndian.AppendUint32(nil, uint32(length))
	size = bytes.TrimLeft(size, "\x00")
	return append([]byte{identifier, 0x80 | byte(len(size))}, size...)
}
