package weir

// Handle identifies an inode on its volume for as long as the inode lives: a file handle of
// name_to_handle_at(2) as its type (4 bytes, little endian) followed by its opaque bytes. A handle does
// not change when the file is renamed, and a reused inode number gets another handle. The empty handle
// identifies nothing. Handles of different volumes must not be compared.
type Handle string
