package wintest

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
)

// The machines of executables.
const (
	X86  uint16 = pe.IMAGE_FILE_MACHINE_I386
	X64  uint16 = pe.IMAGE_FILE_MACHINE_AMD64
	IA64 uint16 = pe.IMAGE_FILE_MACHINE_IA64
)

// PE is an executable, a driver by its headers, with a section of code that does nothing and a section of resources. The zero
// value of a field is left out of the file, but for the Machine: zero is X86.
type PE struct {
	Machine uint16
	Version [4]uint16 // of the file: major, minor, build, revision
	// Strings of the version resource; those that are empty are not in it.
	FileVersion, OriginalFilename, ProductName string
	Strings                                    map[string]string // more of them, by name
	Language                                   uint16            // of the version resource; zero is English of the US
	// Resource is there instead of the version resource that the fields above describe. NoResource leaves out the section.
	Resource   []byte
	NoResource bool
	// Size of the file in bytes. The code grows to it, and what is left of less than 512 bytes follows the sections. Zero is as
	// small as may be. Bytes panics if the rest needs more.
	Size int
}

const (
	peHeadersSize   = 0x400
	peFileAlignment = 0x200
	peHeaderAt      = 0x80
)

// peDOSStub prints a message where the file is started under DOS.
const peDOSStub = "\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21\xb8\x01\x4c\xcd\x21This program cannot be run in DOS mode.\r\r\n$"

// Bytes returns the file. The same PE gives the same bytes.
func (p PE) Bytes() []byte {
	if p.Machine == 0 {
		p.Machine = X86
	}
	page := uint32(0x1000)
	if p.Machine == IA64 {
		page = 0x2000
	}
	sections := p.sections(page)
	last := sections[len(sections)-1]
	var file bytes.Buffer
	file.WriteString(peDOSHeader())
	pePut(&file, []byte("PE\x00\x00"), p.fileHeader(len(sections)), p.optionalHeader(page, sections), sections)
	file.Write(make([]byte, peHeadersSize-file.Len()))
	file.Write(peCode(int(sections[0].SizeOfRawData)))
	if !p.NoResource {
		file.Write(p.resources(last.VirtualAddress))
		file.Write(make([]byte, int(last.PointerToRawData+last.SizeOfRawData)-file.Len()))
	}
	if p.Size != 0 {
		file.Write(bytes.Repeat([]byte{0xcc}, p.Size-file.Len()))
	}
	b := file.Bytes()
	binary.LittleEndian.PutUint32(b[peHeaderAt+24+64:], peChecksum(b))
	return b
}

// optionalHeader returns that of the kind that the machine has.
func (p PE) optionalHeader(page uint32, sections []pe.SectionHeader32) any {
	last := sections[len(sections)-1]
	h := pe.OptionalHeader32{
		Magic: 0x10b, MajorLinkerVersion: 8, SizeOfCode: sections[0].SizeOfRawData,
		AddressOfEntryPoint: page, BaseOfCode: page, ImageBase: 0x10000, SectionAlignment: page, FileAlignment: peFileAlignment,
		MajorOperatingSystemVersion: 6, MajorImageVersion: 6, MajorSubsystemVersion: 6,
		SizeOfImage: peAlign(last.VirtualAddress+last.VirtualSize, page), SizeOfHeaders: peHeadersSize,
		Subsystem: pe.IMAGE_SUBSYSTEM_NATIVE, SizeOfStackReserve: 0x40000, SizeOfStackCommit: 0x1000,
		SizeOfHeapReserve: 0x100000, SizeOfHeapCommit: 0x1000, NumberOfRvaAndSizes: 16,
	}
	if !p.NoResource {
		h.SizeOfInitializedData = last.SizeOfRawData
		h.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_RESOURCE] = pe.DataDirectory{VirtualAddress: last.VirtualAddress, Size: last.VirtualSize}
	}
	if p.Machine == X86 {
		return h
	}
	return peWide(h)
}

// sections returns the headers of the sections, of which the first grows to the size that is wanted.
func (p PE) sections(page uint32) []pe.SectionHeader32 {
	code, rsrc := uint32(peFileAlignment), uint32(0)
	if !p.NoResource {
		rsrc = uint32(len(p.resources(0)))
	}
	if p.Size != 0 {
		room := p.Size - peHeadersSize - int(peAlign(rsrc, peFileAlignment))
		if room < peFileAlignment {
			panic(fmt.Sprintf("wintest: an executable of %d bytes has no room for its sections", p.Size))
		}
		code = uint32(room) / peFileAlignment * peFileAlignment
	}
	all := []pe.SectionHeader32{{
		Name: [8]uint8([]byte(".text\x00\x00\x00")), VirtualSize: code, VirtualAddress: page,
		SizeOfRawData: code, PointerToRawData: peHeadersSize,
		Characteristics: pe.IMAGE_SCN_CNT_CODE | pe.IMAGE_SCN_MEM_EXECUTE | pe.IMAGE_SCN_MEM_READ,
	}}
	if p.NoResource {
		return all
	}
	return append(all, pe.SectionHeader32{
		Name: [8]uint8([]byte(".rsrc\x00\x00\x00")), VirtualSize: rsrc, VirtualAddress: page + peAlign(code, page),
		SizeOfRawData: peAlign(rsrc, peFileAlignment), PointerToRawData: peHeadersSize + code,
		Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
	})
}

func (p PE) fileHeader(sections int) pe.FileHeader {
	h := pe.FileHeader{
		Machine: p.Machine, NumberOfSections: uint16(sections), TimeDateStamp: 0x4ae1e0a0,
		SizeOfOptionalHeader: uint16(binary.Size(pe.OptionalHeader64{})),
		Characteristics:      pe.IMAGE_FILE_RELOCS_STRIPPED | pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE,
	}
	if p.Machine == X86 {
		h.SizeOfOptionalHeader = uint16(binary.Size(pe.OptionalHeader32{}))
		h.Characteristics |= pe.IMAGE_FILE_32BIT_MACHINE
	}
	return h
}

// peWide returns the header of a 64-bit executable that says what a 32-bit one does.
func peWide(h pe.OptionalHeader32) pe.OptionalHeader64 {
	return pe.OptionalHeader64{
		Magic: 0x20b, MajorLinkerVersion: h.MajorLinkerVersion, SizeOfCode: h.SizeOfCode,
		SizeOfInitializedData: h.SizeOfInitializedData, AddressOfEntryPoint: h.AddressOfEntryPoint, BaseOfCode: h.BaseOfCode,
		ImageBase: uint64(h.ImageBase), SectionAlignment: h.SectionAlignment, FileAlignment: h.FileAlignment,
		MajorOperatingSystemVersion: h.MajorOperatingSystemVersion, MajorImageVersion: h.MajorImageVersion,
		MajorSubsystemVersion: h.MajorSubsystemVersion, SizeOfImage: h.SizeOfImage, SizeOfHeaders: h.SizeOfHeaders,
		Subsystem: h.Subsystem, SizeOfStackReserve: uint64(h.SizeOfStackReserve), SizeOfStackCommit: uint64(h.SizeOfStackCommit),
		SizeOfHeapReserve: uint64(h.SizeOfHeapReserve), SizeOfHeapCommit: uint64(h.SizeOfHeapCommit),
		NumberOfRvaAndSizes: h.NumberOfRvaAndSizes, DataDirectory: h.DataDirectory,
	}
}

func peDOSHeader() string {
	b := make([]byte, peHeaderAt)
	// The fields of an empty program of 3 pages, whose header has 4 paragraphs.
	for i, field := range []uint16{0x5a4d, 0x90, 3, 0, 4, 0, 0xffff, 0, 0xb8} {
		binary.LittleEndian.PutUint16(b[2*i:], field)
	}
	binary.LittleEndian.PutUint16(b[0x18:], 0x40)
	binary.LittleEndian.PutUint32(b[0x3c:], peHeaderAt)
	copy(b[0x40:], peDOSStub)
	return string(b)
}

// peCode returns bytes that differ from place to place, so that no two parts of a file can be taken for each other.
func peCode(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*31 + i>>9)
	}
	return b
}

// peChecksum is what the loader demands of drivers: the sum of all 16-bit words with their carries, and the size of the file.
func peChecksum(b []byte) uint32 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i])
		if i+1 < len(b) {
			word |= uint32(b[i+1]) << 8
		}
		sum += word
		sum = sum&0xffff + sum>>16
	}
	return sum + uint32(len(b))
}

func peAlign(n, to uint32) uint32 { return (n + to - 1) / to * to }

// pePut writes values of fixed size as Windows has them.
func pePut(file *bytes.Buffer, values ...any) {
	for _, v := range values {
		if err := binary.Write(file, binary.LittleEndian, v); err != nil {
			panic("wintest: " + err.Error())
		}
	}
}
