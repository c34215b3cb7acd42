// Package handle gets file handles and opens inodes by them: name_to_handle_at(2), open_by_handle_at(2).
//
// A handle is a string, its type (4 bytes, little endian) followed by its opaque bytes, which is the form
// of weir.Handle. Opening by handle needs CAP_DAC_READ_SEARCH and reaches every inode of a file system,
// also outside of the directory that was mounted: nothing is to be written through it.
package handle
