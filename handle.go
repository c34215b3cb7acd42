package weir

import (
	"encoding/hex"
	"fmt"
)

// Handle identifies an inode on its volume for as long as the inode lives: a file handle of
// name_to_handle_at(2) as its type (4 bytes, little endian) followed by its opaque bytes. A handle does
// not change when the file is renamed, and a reused inode number gets another handle. The empty handle
// identifies nothing. Handles of different volumes must not be compared.
type Handle string

// MarshalText writes the handle in hexadecimal, since it is not text.
func (h Handle) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString([]byte(h))), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Handle) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("read handle: %w", err)
	}
	*h = Handle(b)
	return nil
}
