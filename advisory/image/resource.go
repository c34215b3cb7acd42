package image

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
)

const (
	typeVersion = 16     // RT_VERSION, the type of a version resource
	nameVersion = 1      // VS_VERSION_INFO, the name by which Windows asks for it
	anyLanguage = 0      // neutral
	usEnglish   = 0x0409 // to which Windows turns when a file has none of the user's languages

	directoryBit = 1 << 31 // of an entry that leads to a directory and not to bytes
)

// resources are the bytes from the beginning of the tree of resources to the end of its section. Places within the tree count
// from there.
type resources []byte

// versionResource returns the bytes that Windows finds when it asks for the version of the file. A tree of resources has three
// levels, type, name and language; the walk is down one path, so that no circle in the tree can hold it.
func (l *layout) versionResource() ([]byte, error) {
	if len(l.directory) <= pe.IMAGE_DIRECTORY_ENTRY_RESOURCE {
		return nil, fmt.Errorf("%w: it has no directory of resources", ErrNoVersion)
	}
	root := l.directory[pe.IMAGE_DIRECTORY_ENTRY_RESOURCE]
	if root.VirtualAddress == 0 || root.Size == 0 {
		return nil, fmt.Errorf("%w: it has no resources", ErrNoVersion)
	}
	tree, ok := l.section(root.VirtualAddress)
	if !ok {
		return nil, fmt.Errorf("%w: its resources are in none of its sections", ErrDamaged)
	}
	leaf, err := resources(tree).find()
	if err != nil {
		return nil, err
	}
	address, size := binary.LittleEndian.Uint32(leaf), binary.LittleEndian.Uint32(leaf[4:])
	resource, ok := l.section(address)
	if !ok || uint64(size) > uint64(len(resource)) {
		return nil, fmt.Errorf("%w: its version resource, %d bytes at address %#x, is in none of its sections", ErrDamaged, size, address)
	}
	return resource[:size], nil
}

// find returns the leaf of the version resource, which has its address and its size.
func (tree resources) find() (leaf []byte, err error) {
	const leafSize = 16
	at := uint32(directoryBit)
	for _, names := range [][]uint32{{typeVersion}, {nameVersion}, {anyLanguage, usEnglish}} {
		if at&directoryBit == 0 {
			return nil, fmt.Errorf("%w: its tree of resources lacks a level", ErrDamaged)
		}
		if at, err = tree.entry(at&^directoryBit, names); err != nil {
			return nil, err
		}
	}
	if at&directoryBit != 0 || uint64(at)+leafSize > uint64(len(tree)) {
		return nil, fmt.Errorf("%w: its tree of resources leads to no version", ErrDamaged)
	}
	return tree[at : at+leafSize], nil
}

// entry returns where the entry of the directory at a place leads that has the first of these names, else the next; a choice of
// names ends with whatever the directory has first.
func (tree resources) entry(at uint32, names []uint32) (uint32, error) {
	const headerSize, entrySize = 16, 8
	if uint64(at)+headerSize > uint64(len(tree)) {
		return 0, fmt.Errorf("%w: its tree of resources has a directory outside the section", ErrDamaged)
	}
	header, entries := tree[at:], tree[at+headerSize:]
	count := int(binary.LittleEndian.Uint16(header[12:])) + int(binary.LittleEndian.Uint16(header[14:]))
	if count*entrySize > len(entries) {
		return 0, fmt.Errorf("%w: its tree of resources has a directory of %d entries, and %d bytes for them", ErrDamaged, count, len(entries))
	}
	for _, name := range names {
		for i := range count {
			if e := entries[i*entrySize:]; binary.LittleEndian.Uint32(e) == name {
				return binary.LittleEndian.Uint32(e[4:]), nil
			}
		}
	}
	if len(names) > 1 && count > 0 {
		return binary.LittleEndian.Uint32(entries[4:]), nil
	}
	return 0, fmt.Errorf("%w among its resources", ErrNoVersion)
}
