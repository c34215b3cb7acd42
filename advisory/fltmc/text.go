package fltmc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// MaxSize is how many bytes a text may have.
const MaxSize = 4 << 20

const (
	maxLine = 4096 // characters of a line
	tab     = 8    // columns between two stops of a tabulator
)

// split decodes the text and returns its lines as characters, without trailing spaces and with tabulators as spaces. A byte
// that is no UTF-8 counts as one character, as it did in the code page of a console.
func split(text []byte) ([][]rune, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%d bytes are more than the %d that are read", len(text), MaxSize)
	}
	decoded, err := decode(text)
	if err != nil {
		return nil, err
	}
	var lines [][]rune
	for line := range strings.SplitSeq(strings.ReplaceAll(decoded, "\r\n", "\n"), "\n") {
		var out []rune
		for _, r := range strings.TrimRight(line, " \t\r\v\f\u00a0") {
			switch {
			case r == '\t':
				out = append(out, []rune(strings.Repeat(" ", tab-len(out)%tab))...)
			case r == '\u00a0':
				out = append(out, ' ') // as web pages and mails have it
			default:
				out = append(out, r)
			}
			if len(out) > maxLine {
				return nil, fmt.Errorf("line %d: it has more than %d characters", len(lines)+1, maxLine)
			}
		}
		lines = append(lines, out)
	}
	return lines, nil
}

// decode returns the text, which is UTF-16 if it begins with the mark of its byte order or if one byte of each of its first
// pairs is 0, and UTF-8 else.
func decode(text []byte) (string, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order, text = binary.LittleEndian, text[2:]
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order, text = binary.BigEndian, text[2:]
	case bytes.HasPrefix(text, []byte{0xef, 0xbb, 0xbf}):
		text = text[3:]
	case len(text) >= 4 && text[0] != 0 && text[1] == 0 && text[2] != 0 && text[3] == 0:
		order = binary.LittleEndian
	case len(text) >= 4 && text[0] == 0 && text[1] != 0 && text[2] == 0 && text[3] != 0:
		order = binary.BigEndian
	}
	if order == nil {
		if bytes.IndexByte(text, 0) >= 0 {
			return "", errors.New("it is no text: it has bytes that are 0")
		}
		return string(text), nil
	}
	if len(text)%2 != 0 {
		return "", errors.New("it is cut off: UTF-16 with an odd number of bytes")
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return string(utf16.Decode(units)), nil
}
