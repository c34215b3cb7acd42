package wintest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

const peCodePage = 1200 // UTF-16, in which the strings of a version resource are

// resources returns a section at an address that has the version resource as its only one.
func (p PE) resources(address uint32) []byte {
	const directory, leaf = 16 + 8, 16
	version := p.Resource
	if version == nil {
		version = p.VersionResource()
	}
	var b bytes.Buffer
	for level, name := range []uint32{16, 1, uint32(p.language())} { // RT_VERSION, VS_VERSION_INFO
		next := uint32((level + 1) * directory)
		if level < 2 {
			next |= 1 << 31
		}
		pePut(&b, []uint32{0, 0, 0, 1 << 16}, name, next) // one entry, which has a number for a name
	}
	pePut(&b, []uint32{address + uint32(b.Len()) + leaf, uint32(len(version)), peCodePage, 0}, version)
	return b.Bytes()
}

func (p PE) language() uint16 {
	if p.Language != 0 {
		return p.Language
	}
	return 0x0409
}

// VersionResource returns the version resource that the fields describe, which tests damage and put into Resource.
func (p PE) VersionResource() []byte {
	strings := map[string]string{
		"FileVersion": p.FileVersion, "OriginalFilename": p.OriginalFilename, "ProductName": p.ProductName,
	}
	maps.Copy(strings, p.Strings)
	var table []byte
	for _, name := range slices.Sorted(maps.Keys(strings)) {
		if strings[name] != "" {
			table = VersionBlock(table, name, true, peText(strings[name]))
		}
	}
	v := p.Version
	ms, ls := uint32(v[0])<<16|uint32(v[1]), uint32(v[2])<<16|uint32(v[3])
	const (
		signature, structure = 0xfeef04bd, 0x10000
		flagsMask            = 0x3f
		osNT, driver, system = 0x40004, 3, 7 // VOS_NT_WINDOWS32, VFT_DRV, VFT2_DRV_SYSTEM
	)
	fixed := peBytes(uint32(signature), uint32(structure), ms, ls, ms, ls, uint32(flagsMask), uint32(0), uint32(osNT),
		uint32(driver), uint32(system), uint64(0))
	var children []byte
	if table != nil {
		tables := VersionBlock(nil, fmt.Sprintf("%04x%04x", p.language(), peCodePage), true, nil, table...)
		children = VersionBlock(nil, "StringFileInfo", true, nil, tables...)
	}
	translation := VersionBlock(nil, "Translation", false, peBytes(p.language(), uint16(peCodePage)))
	children = VersionBlock(children, "VarFileInfo", true, nil, translation...)
	return VersionBlock(nil, "VS_VERSION_INFO", false, fixed, children...)
}

// VersionBlock appends to b one of the nested structures of a version resource, with a value and with blocks inside, after as much
// padding as it needs.
func VersionBlock(b []byte, key string, isText bool, value []byte, children ...byte) []byte {
	block := append(make([]byte, 6), peText(key)...)
	valueSize := len(value)
	if valueSize > 0 {
		block = append(pePad(block), value...)
	}
	if len(children) > 0 {
		block = append(pePad(block), children...)
	}
	if isText {
		binary.LittleEndian.PutUint16(block[4:], 1)
		valueSize /= 2 // characters
	}
	binary.LittleEndian.PutUint16(block, uint16(len(block)))
	binary.LittleEndian.PutUint16(block[2:], uint16(valueSize))
	return append(pePad(b), block...)
}

// pePad appends zeros to a multiple of 4 bytes.
func pePad(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

// peText returns a text with its NUL.
func peText(text string) []byte { return utf16LE(text + "\x00") }

func peBytes(values ...any) []byte {
	var b bytes.Buffer
	pePut(&b, values...)
	return b.Bytes()
}
