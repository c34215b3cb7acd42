// Package wintest builds, for tests only, the files of a Windows installation that weir's advisories look into.
// What it builds is real: other readers than weir's own take it, and the tests here ask them.
package wintest

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
)

// Hive is a registry hive to be built. The zero value is an empty one of version 1.5.
type Hive struct {
	Root HiveKey // its name is kept in the file, and is no part of any path

	// Minor is the version after "1.": 3 is the old form, which Windows NT 5 still has in some hives (lists lf, a value in one
	// cell, however long), 4 to 6 are the newer ones (lists lh from 5 on, records db for long values). 0 stands for 5.
	Minor uint32
	// PerList is the number of subkeys from which on there is a list of lists (ri). 0 stands for 500.
	PerList int
	// Plain has subkeys listed without hashes (li), as the oldest hives have them.
	Plain bool
	// Dirty leaves the sequence numbers as they are while a log waits to be applied.
	Dirty bool
}

// HiveKey is a key with all that is below it.
type HiveKey struct {
	Name   string
	Keys   []HiveKey
	Values []HiveValue
}

// HiveValue is a value: its name ("" is the default one), the number of its type and its bytes.
type HiveValue struct {
	Name string
	Type uint32
	Data []byte
}

// Text returns a value of type REG_SZ.
func Text(name, text string) HiveValue { return HiveValue{name, 1, utf16LE(text + "\x00")} }

// Texts returns a value of type REG_MULTI_SZ.
func Texts(name string, texts ...string) HiveValue {
	return HiveValue{name, 7, utf16LE(strings.Join(append(texts, "\x00"), "\x00"))}
}

// Number returns a value of type REG_DWORD.
func Number(name string, n uint32) HiveValue {
	return HiveValue{name, 4, binary.LittleEndian.AppendUint32(nil, n)}
}

// Put adds values to the key of that path below k, separated by backslashes, and makes the keys that are missing.
func (k *HiveKey) Put(path string, values ...HiveValue) {
	for name := range strings.SplitSeq(path, `\`) {
		i := slices.IndexFunc(k.Keys, func(c HiveKey) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 {
			i = len(k.Keys)
			k.Keys = append(k.Keys, HiveKey{Name: name})
		}
		k = &k.Keys[i]
	}
	k.Values = append(k.Values, values...)
}

const (
	hiveBase    = 0x1000     // offsets in a hive count from here
	hiveNone    = 0xffffffff // the offset of what is not there
	hiveSegment = 16344      // what one segment of a db record holds
)

// Bytes returns the file.
func (h Hive) Bytes() []byte {
	if h.Minor == 0 {
		h.Minor = 5
	}
	if h.PerList == 0 {
		h.PerList = 500
	}
	b := &hiveBuilder{Hive: h, file: make([]byte, hiveBase)}
	b.security = b.cell(append([]byte("sk"), make([]byte, 38)...))
	root := b.key(h.Root, hiveNone, 0x2c)
	b.fill()
	b.finish(root)
	return b.file
}

// hiveBuilder is a hive while it grows.
type hiveBuilder struct {
	Hive
	file     []byte
	next     int    // where the next cell goes
	security uint32 // the one security descriptor, which every key refers to
	keys     uint32 // how many keys do
}

// cell appends a cell with that content, in a new bin if the last one has no room for it, and returns its offset.
func (b *hiveBuilder) cell(content []byte) uint32 {
	size := (4 + len(content) + 7) &^ 7
	if b.next == 0 || b.next+size > len(b.file) {
		b.fill()
		start := len(b.file)
		b.file = append(b.file, make([]byte, (32+size+0xfff)&^0xfff)...)
		copy(b.file[start:], "hbin")
		b.put(start+4, uint32(start-hiveBase))
		b.put(start+8, uint32(len(b.file)-start))
		b.next = start + 32
	}
	at := b.next
	b.put(at, uint32(-size))
	copy(b.file[at+4:], content)
	b.next += size
	return uint32(at - hiveBase)
}

// fill makes the rest of the last bin a free cell.
func (b *hiveBuilder) fill() {
	if rest := len(b.file) - b.next; b.next > 0 && rest > 0 {
		b.put(b.next, uint32(rest))
	}
}

func (b *hiveBuilder) put(at int, n uint32) { binary.LittleEndian.PutUint32(b.file[at:], n) }

// patch sets a field of a cell that is there already.
func (b *hiveBuilder) patch(cell uint32, field int, n uint32) { b.put(hiveBase+int(cell)+4+field, n) }

// key appends a key and all below it, and returns its offset.
func (b *hiveBuilder) key(k HiveKey, parent uint32, flags uint16) uint32 {
	name, compressed := hiveName(k.Name)
	if compressed {
		flags |= 0x20
	} else {
		flags &^= 0x20
	}
	node := make([]byte, 76, 76+len(name))
	copy(node, "nk")
	le := binary.LittleEndian
	le.PutUint16(node[2:], flags)
	le.PutUint64(node[4:], 128920032000000000)
	for field, n := range map[int]uint32{
		16: parent, 20: uint32(len(k.Keys)), 28: hiveNone, 32: hiveNone, 36: uint32(len(k.Values)), 40: hiveNone,
		44: b.security, 48: hiveNone, 52: 2 * hiveLongest(k.Keys, func(c HiveKey) int { return len(c.Name) }),
		60: 2 * hiveLongest(k.Values, func(v HiveValue) int { return len(v.Name) }),
		64: hiveLongest(k.Values, func(v HiveValue) int { return len(v.Data) }),
	} {
		le.PutUint32(node[field:], n)
	}
	le.PutUint16(node[72:], uint16(len(name)))
	at := b.cell(append(node, name...))
	b.keys++
	b.values(at, k.Values)
	b.subkeys(at, k.Keys)
	return at
}

func hiveLongest[T any](all []T, length func(T) int) (n uint32) {
	for _, one := range all {
		n = max(n, uint32(length(one)))
	}
	return n
}

// subkeys appends the keys in the order of their names, and their lists.
func (b *hiveBuilder) subkeys(parent uint32, keys []HiveKey) {
	if len(keys) == 0 {
		return
	}
	keys = slices.SortedFunc(slices.Values(keys), func(a, c HiveKey) int {
		return strings.Compare(strings.ToUpper(a.Name), strings.ToUpper(c.Name))
	})
	var lists []uint32
	for part := range slices.Chunk(keys, b.PerList) {
		var entries []byte
		for _, k := range part {
			entries = binary.LittleEndian.AppendUint32(entries, b.key(k, parent, 0))
			entries = append(entries, b.hash(k.Name)...)
		}
		lists = append(lists, b.cell(hiveList(b.signature(), len(part), entries)))
	}
	if len(lists) > 1 {
		lists = []uint32{b.cell(hiveList("ri", len(lists), hiveOffsets(lists)))}
	}
	b.patch(parent, 28, lists[0])
}

func hiveList(signature string, count int, entries []byte) []byte {
	return append(binary.LittleEndian.AppendUint16([]byte(signature), uint16(count)), entries...)
}

func hiveOffsets(all []uint32) (b []byte) {
	for _, at := range all {
		b = binary.LittleEndian.AppendUint32(b, at)
	}
	return b
}

func (b *hiveBuilder) signature() string {
	switch {
	case b.Plain:
		return "li"
	case b.Minor < 5:
		return "lf"
	}
	return "lh"
}

// hash returns what stands beside a subkey's offset in its list.
func (b *hiveBuilder) hash(name string) []byte {
	switch b.signature() {
	case "li":
		return nil
	case "lf":
		four := make([]byte, 4)
		copy(four, name)
		return four
	}
	var hash uint32
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(name))) {
		hash = hash*37 + uint32(unit)
	}
	return binary.LittleEndian.AppendUint32(nil, hash)
}

// values appends the values of a key, and their list.
func (b *hiveBuilder) values(key uint32, values []HiveValue) {
	if len(values) == 0 {
		return
	}
	var all []uint32
	for _, v := range values {
		name, compressed := hiveName(v.Name)
		record := binary.LittleEndian.AppendUint16([]byte("vk"), uint16(len(name)))
		record = append(record, b.data(v.Data)...)
		record = binary.LittleEndian.AppendUint32(record, v.Type)
		flags := []byte{0, 0, 0, 0}
		if compressed {
			flags[0] = 1
		}
		all = append(all, b.cell(append(append(record, flags...), name...)))
	}
	b.patch(key, 40, b.cell(hiveOffsets(all)))
}

// data appends what is too long to stand in the value's own record, and returns the record's length and offset.
func (b *hiveBuilder) data(data []byte) []byte {
	le, size := binary.LittleEndian, uint32(len(data))
	switch {
	case size <= 4:
		return append(le.AppendUint32(nil, size|1<<31), append(data[:size:size], make([]byte, 4-size)...)...)
	case size <= hiveSegment || b.Minor < 4:
		return le.AppendUint32(le.AppendUint32(nil, size), b.cell(data))
	}
	var segments []uint32
	for part := range slices.Chunk(data, hiveSegment) {
		segments = append(segments, b.cell(append(part[:len(part):len(part)], 0, 0, 0, 0)))
	}
	record := hiveList("db", len(segments), le.AppendUint32(nil, b.cell(hiveOffsets(segments))))
	return le.AppendUint32(le.AppendUint32(nil, size), b.cell(append(record, 0, 0, 0, 0)))
}

// finish writes the header and what the descriptor counts.
func (b *hiveBuilder) finish(root uint32) {
	for field, n := range map[int]uint32{4: b.security, 8: b.security, 12: b.keys, 16: 20} {
		b.patch(b.security, field, n)
	}
	copy(b.file[hiveBase+int(b.security)+4+20:], []byte{1, 0, 0, 0x80})
	copy(b.file, "regf")
	for field, n := range map[int]uint32{
		4: 7, 8: 7, 20: 1, 24: b.Minor, 32: 1, 36: root, 40: uint32(len(b.file) - hiveBase), 44: 1,
	} {
		b.put(field, n)
	}
	if b.Dirty {
		b.put(4, 8)
	}
	binary.LittleEndian.PutUint64(b.file[12:], 128920032000000000)
	copy(b.file[48:112], utf16LE(`\SystemRoot\System32\Config\TEST`))
	SealHive(b.file)
}

// SealHive sets the checksum of a hive's header, after a test has changed the header.
func SealHive(file []byte) {
	var sum uint32
	for at := 0; at < 508; at += 4 {
		sum ^= binary.LittleEndian.Uint32(file[at:])
	}
	switch sum {
	case 0:
		sum = 1
	case 0xffffffff:
		sum = 0xfffffffe
	}
	binary.LittleEndian.PutUint32(file[508:], sum)
}

// hiveName returns the bytes of a name: one for each character where all are of Latin-1, two where not.
func hiveName(name string) (raw []byte, compressed bool) {
	for _, r := range name {
		if r > 0xff {
			return utf16LE(name), false
		}
		raw = append(raw, byte(r))
	}
	return raw, true
}
