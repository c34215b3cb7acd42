package hive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrAbsent is in the chain of every error that means that a key or a value is not there, and of no other.
var ErrAbsent = errors.New("it is not there")

const (
	header   = 0x1000     // bytes before the first bin; offsets count from its end
	none     = 0xffffffff // the offset of what is not there
	maxDepth = 512        // levels of keys, as many as Windows allows
)

// Hive is a hive whose header has been read.
type Hive struct {
	r     io.ReaderAt
	bins  int64 // bytes after the header
	minor uint32
	root  uint32
	dirty bool
}

// Open reads the header of the hive that r has in its first size bytes. It fails if it is no primary file of a hive of
// version 1.3 to 1.6, or if the file is shorter than its header says.
func Open(r io.ReaderAt, size int64) (*Hive, error) {
	if size < header {
		return nil, fmt.Errorf("open hive: %d bytes are fewer than its header has", size)
	}
	base := make([]byte, 512)
	if err := readFull(r, base, 0); err != nil {
		return nil, fmt.Errorf("open hive: header: %w", err)
	}
	field := func(at int) uint32 { return binary.LittleEndian.Uint32(base[at:]) }
	if string(base[:4]) != "regf" {
		return nil, errors.New("open hive: it does not begin as a hive does")
	}
	h := &Hive{
		r: r, bins: int64(field(40)), minor: field(24), root: field(36),
		dirty: field(4) != field(8) || field(508) != checksum(base[:508]),
	}
	switch {
	case field(20) != 1 || h.minor < 3 || h.minor > 6:
		return nil, fmt.Errorf("open hive: version %d.%d is none of 1.3 to 1.6", field(20), h.minor)
	case field(28) != 0 || field(32) != 1:
		return nil, fmt.Errorf("open hive: type %d and format %d are not those of a primary file", field(28), field(32))
	case h.bins > size-header:
		return nil, fmt.Errorf("open hive: it is cut off: %d bytes, where its header wants %d", size, header+h.bins)
	}
	return h, nil
}

// checksum is that of a header: its words, one XOR the other, but neither 0 nor all ones.
func checksum(base []byte) (sum uint32) {
	for ; len(base) > 0; base = base[4:] {
		sum ^= binary.LittleEndian.Uint32(base)
	}
	switch sum {
	case 0:
		return 1
	case none:
		return none - 1
	}
	return sum
}

// Dirty says whether the hive was being written when it was last used: its sequence numbers differ, or the checksum of its
// header is wrong. Windows would apply its log before it used it.
func (h *Hive) Dirty() bool { return h.dirty }

// Key returns the key of that path below the root, which is "" itself. Names are separated by backslashes and compared without
// case. The error is ErrAbsent if there is no such key and all that would have shown it could be read.
func (h *Hive) Key(path string) (Key, error) {
	fail := func(err error) (Key, error) { return Key{}, fmt.Errorf("read key %q: %w", path, err) }
	n, err := h.node(h.root)
	if err != nil {
		return fail(fmt.Errorf("root: %w", err))
	}
	if path == "" {
		return Key{h, "", n}, nil
	}
	names := strings.Split(path, `\`)
	if len(names) > maxDepth {
		return fail(fmt.Errorf("%d names, where %d are possible", len(names), maxDepth))
	}
	for i, name := range names {
		if n, err = h.child(n, name); err != nil {
			return fail(fmt.Errorf("%q: %w", strings.Join(names[:i+1], `\`), err))
		}
	}
	return Key{h, path, n}, nil
}

// child returns the subkey of that name. Damage to another subkey does not hide one that is found.
func (h *Hive) child(n node, name string) (node, error) {
	if name == "" {
		return node{}, errors.New("a path has no empty names")
	}
	var found *node
	var damage error
	err := h.subkeys(n, func(at uint32) bool {
		c, err := h.node(at)
		switch {
		case err != nil && damage == nil:
			damage = err
		case err == nil && strings.EqualFold(c.name, name):
			found = &c
		}
		return found == nil
	})
	switch {
	case found != nil:
		return *found, nil
	case damage != nil:
		return node{}, damage
	case err != nil:
		return node{}, err
	}
	return node{}, ErrAbsent
}

// Key is a key of a hive.
type Key struct {
	hive *Hive
	path string // for errors; of a key that was listed, its name alone
	node node
}

// Name returns the key's own name as found, which may hold any character; that of the root is of no importance.
func (k Key) Name() string { return k.node.name }

// Keys returns the subkeys in the order in which the hive has them, which is that of their names where Windows wrote it. All can
// be read, or there is an error.
func (k Key) Keys() ([]Key, error) {
	if k.hive == nil {
		return nil, errors.New("read key: it is the zero value")
	}
	var keys []Key
	var damage error
	room := 2 * k.hive.bins // what names of one byte for a character may grow to
	values := k.hive.bins / minValue
	err := k.hive.subkeys(k.node, func(at uint32) bool {
		var c node
		if c, damage = k.hive.node(at); damage != nil {
			return false
		}
		room, values = room-int64(len(c.name)), values-int64(c.values)
		if room < 0 || values < 0 {
			damage = errors.New("there are more names, or values of all these keys, than the file has room for")
			return false
		}
		keys = append(keys, Key{k.hive, c.name, c})
		return true
	})
	if err = errors.Join(err, damage); err != nil {
		return nil, fmt.Errorf("read keys of %q: %w", k.path, err)
	}
	return keys, nil
}
