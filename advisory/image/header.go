package image

import (
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weirfs/weir/advisory"
)

// MaxSize is how large an executable may be, in bytes: no kernel and no driver of the systems that advisories are about comes
// near it. Whoever reads a file for this package need read no more.
const MaxSize = 64 << 20

// What may be wrong with the bytes of an executable. Errors of this package wrap one of them, and go on to say what was found.
var (
	// ErrNotImage is a file that is no executable of Windows at all, or none for its 32-bit and 64-bit systems.
	ErrNotImage = errors.New("no executable of Windows")
	// ErrTooLarge is a file beyond MaxSize.
	ErrTooLarge = errors.New("larger than any executable that an advisory is about")
	// ErrTruncated is a file that ends before what its headers announce.
	ErrTruncated = errors.New("truncated")
	// ErrDamaged is a file whose structures contradict each other.
	ErrDamaged = errors.New("damaged")
	// ErrNoVersion is an executable that tells no version.
	ErrNoVersion = errors.New("without a version resource")
)

const (
	headerAt     = 0x3c // where a DOS header says at which byte the PE header is
	magic32      = 0x10b
	magic64      = 0x20b
	checksumAt   = 64 // within the optional header of either kind
	certificates = pe.IMAGE_DIRECTORY_ENTRY_SECURITY
	maxSections  = 96 // the loader of Windows takes no more
)

// layout is what the headers of an executable say, checked against its size.
type layout struct {
	b           []byte
	machine     advisory.Machine
	checksum    int // at which byte the checksum is, 4 bytes long
	certificate int // at which byte the directory's entry for the certificate table is, 8 bytes long; 0 without one
	headers     int // at which byte the headers end, by their own account and by their tables
	sections    []pe.SectionHeader32
	directory   []pe.DataDirectory
}

// parse reads the headers, and refuses a file that is cut anywhere within what they announce.
func parse(b []byte) (*layout, error) {
	l := &layout{b: b}
	coff, at, err := l.parseFileHeader()
	if err != nil {
		return nil, err
	}
	l.machine = advisory.Machine(coff.Machine)
	end := at + int(coff.SizeOfOptionalHeader)
	if end > len(b) {
		return nil, l.truncated("its headers end", uint64(end))
	}
	if err := l.parseOptionalHeader(b[at:end], at); err != nil {
		return nil, err
	}
	if err := l.parseSections(end, int(coff.NumberOfSections)); err != nil {
		return nil, err
	}
	return l, l.checkEnds()
}

// parseFileHeader returns the header and the byte after it, at which the optional header begins.
func (l *layout) parseFileHeader() (coff pe.FileHeader, end int, err error) {
	switch b := l.b; {
	case len(b) > MaxSize:
		return coff, 0, fmt.Errorf("%w: %d bytes, of %d at most", ErrTooLarge, len(b), MaxSize)
	case len(b) == 0:
		return coff, 0, fmt.Errorf("%w: it is empty", ErrTruncated)
	case b[0] != 'M' || len(b) > 1 && b[1] != 'Z':
		return coff, 0, fmt.Errorf("%w: it does not begin with MZ", ErrNotImage)
	case len(b) < headerAt+4:
		return coff, 0, l.truncated("its first header ends", headerAt+4)
	}
	size := uint64(binary.Size(coff))
	at := uint64(binary.LittleEndian.Uint32(l.b[headerAt:]))
	if at+4+size > uint64(len(l.b)) {
		return coff, 0, l.truncated("its headers end", at+4+size)
	}
	if string(l.b[at:at+4]) != "PE\x00\x00" {
		return coff, 0, fmt.Errorf("%w: a program for DOS, or for Windows of 16 bits", ErrNotImage)
	}
	_, err = binary.Decode(l.b[at+4:], binary.LittleEndian, &coff)
	return coff, int(at + 4 + size), err
}

// parseOptionalHeader reads what is in b, which begins at byte at of the file.
func (l *layout) parseOptionalHeader(b []byte, at int) error {
	var count uint32
	var h32 pe.OptionalHeader32
	var h64 pe.OptionalHeader64
	fixed := binary.Size(h32) - binary.Size(h32.DataDirectory) // the header without its directory
	switch {
	case len(b) >= fixed && binary.LittleEndian.Uint16(b) == magic32:
		decode(b, &h32)
		count, l.headers, l.directory = h32.NumberOfRvaAndSizes, int(h32.SizeOfHeaders), h32.DataDirectory[:]
	case len(b) >= fixed && binary.LittleEndian.Uint16(b) == magic64:
		fixed = binary.Size(h64) - binary.Size(h64.DataDirectory)
		decode(b, &h64)
		count, l.headers, l.directory = h64.NumberOfRvaAndSizes, int(h64.SizeOfHeaders), h64.DataDirectory[:]
	default:
		return fmt.Errorf("%w: its optional header, of %d bytes, is of neither kind", ErrDamaged, len(b))
	}
	// The loader ignores what a directory has beyond its 16 entries.
	entry := binary.Size(pe.DataDirectory{})
	l.directory = l.directory[:min(int64(count), int64(len(l.directory)))]
	if end := fixed + entry*len(l.directory); end > len(b) {
		return fmt.Errorf("%w: its optional header has %d bytes and needs %d", ErrDamaged, len(b), end)
	}
	l.checksum = at + checksumAt
	if len(l.directory) > certificates {
		l.certificate = at + fixed + entry*certificates
	}
	return nil
}

// decode fills a header from b. Of one that ends early in its directory it fills what is there.
func decode[T any](b []byte, header *T) {
	whole := make([]byte, binary.Size(*header))
	copy(whole, b)
	if _, err := binary.Decode(whole, binary.LittleEndian, header); err != nil {
		panic("image: " + err.Error()) // a header has a fixed size, and whole has that size
	}
}

// parseSections reads the table of count sections at byte at.
func (l *layout) parseSections(at, count int) error {
	if count > maxSections {
		return fmt.Errorf("%w: it has %d sections, of %d at most", ErrDamaged, count, maxSections)
	}
	l.sections = make([]pe.SectionHeader32, count)
	end := at + binary.Size(l.sections)
	if end > len(l.b) {
		return l.truncated("its headers end", uint64(end))
	}
	l.headers = max(l.headers, end)
	_, err := binary.Decode(l.b[at:end], binary.LittleEndian, l.sections)
	return err
}

// checkEnds refuses a file that ends before its sections or its certificates do.
func (l *layout) checkEnds() error {
	if l.headers > len(l.b) {
		return l.truncated("its headers end", uint64(l.headers))
	}
	for _, s := range l.sections {
		if end := uint64(s.PointerToRawData) + uint64(s.SizeOfRawData); inFile(s) && end > uint64(len(l.b)) {
			return l.truncated("a section ends", end)
		}
	}
	if at, size := l.certificateTable(); at+size > uint64(len(l.b)) {
		return l.truncated("its certificates end", at+size)
	}
	return nil
}

// inFile tells whether a section has bytes in the file: one of variables that begin as zero has none.
func inFile(s pe.SectionHeader32) bool { return s.PointerToRawData != 0 && s.SizeOfRawData != 0 }

// certificateTable returns where the file's own signatures are, in bytes from its beginning; twice 0 if it has none. It is the
// only part of an executable that the directory names by place and not by address.
func (l *layout) certificateTable() (at, size uint64) {
	if len(l.directory) <= certificates || l.directory[certificates].Size == 0 {
		return 0, 0
	}
	return uint64(l.directory[certificates].VirtualAddress), uint64(l.directory[certificates].Size)
}

// section returns the bytes from an address to the end of the section that has it.
func (l *layout) section(address uint32) ([]byte, bool) {
	for _, s := range l.sections {
		if inFile(s) && address >= s.VirtualAddress && address-s.VirtualAddress < s.SizeOfRawData {
			end := s.PointerToRawData + s.SizeOfRawData
			return l.b[s.PointerToRawData+(address-s.VirtualAddress) : end], true
		}
	}
	return nil, false
}

func (l *layout) truncated(what string, end uint64) error {
	return fmt.Errorf("%w: %s at byte %d, and the file at byte %d", ErrTruncated, what, end, len(l.b))
}
