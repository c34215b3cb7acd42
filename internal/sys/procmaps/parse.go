package procmaps

import (
	"bytes"

	"github.com/weirfs/weir/internal/sys/mount"
)

// parseLine reads one line of proc_pid_maps(5):
//
//	address           perms offset  dev   inode      pathname
//	7f5db2019000-7f5db201d000 rw-s 00000000 fe:00 613 /run/a file
//
// Start and End are meaningful only if wanted is true, which it is for shared, writable mappings of an inode.
func parseLine(line []byte) (m Mapping, wanted bool) {
	addresses, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(rest) < 5 || rest[1] != 'w' || rest[3] != 's' || rest[4] != ' ' {
		return m, false
	}
	start, end, ok := bytes.Cut(addresses, []byte("-"))
	_, rest, _ = bytes.Cut(rest[5:], []byte(" ")) // the offset
	device, rest, _ := bytes.Cut(rest, []byte(" "))
	inode, _, _ := bytes.Cut(rest, []byte(" "))
	major, minor, colon := bytes.Cut(device, []byte(":"))
	if !ok || !colon {
		return m, false
	}
	var numbers [5]uint64
	for i, field := range [][]byte{start, end, major, minor, inode} {
		base := uint64(16)
		if i == 4 {
			base = 10
		}
		if numbers[i], ok = parseNumber(field, base); !ok {
			return m, false
		}
	}
	if numbers[2] > 1<<32-1 || numbers[3] > 1<<32-1 || numbers[4] == 0 {
		return m, false
	}
	m.Start, m.End = numbers[0], numbers[1]
	m.Device = mount.MakeDevice(uint32(numbers[2]), uint32(numbers[3]))
	return m, m.Start < m.End
}

// parseNumber reads an unsigned number, without the allocation that strconv needs for its string.
func parseNumber(text []byte, base uint64) (n uint64, ok bool) {
	for _, c := range text {
		var digit uint64
		switch {
		case '0' <= c && c <= '9':
			digit = uint64(c - '0')
		case 'a' <= c && c <= 'f':
			digit = uint64(c-'a') + 10
		default:
			return 0, false
		}
		if digit >= base || n > (1<<64-1-digit)/base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, len(text) > 0
}
