package image

import "github.com/weirfs/weir/advisory"

// Image is what an executable tells about itself. Nothing of it is proved: who writes the file writes this.
type Image struct {
	Machine advisory.Machine // of the file header; any number may be there
	Version advisory.Version // the file version of VS_FIXEDFILEINFO, which decides; the string below may say another
	// The strings are those of the first table of StringFileInfo, "" where it has none. Control characters, marks of direction
	// and halves of characters are U+FFFD in them, so that a terminal may print them; they have no spaces at their end, and at
	// most 256 characters.
	FileVersion      string // as in "5.2.3790.4601 (srv03_sp2_qfe.091009-1301)"
	OriginalFilename string // as in "ntkrnlmp.exe", whatever name the file has now
}

// Read reads a whole executable. An error wraps ErrNotImage, ErrTooLarge, ErrTruncated, ErrDamaged or ErrNoVersion; there is no
// Image with one. A file that lost bytes that no header speaks of, after its last section, is not told from a whole one.
func Read(b []byte) (*Image, error) {
	l, err := parse(b)
	if err != nil {
		return nil, err
	}
	resource, err := l.versionResource()
	if err != nil {
		return nil, err
	}
	m := &Image{Machine: l.machine}
	if err := m.readVersion(resource); err != nil {
		return nil, err
	}
	return m, nil
}
