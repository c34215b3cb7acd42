// Package clone shares, copies and finds the allocated ranges of files: FICLONE, copy_file_range(2),
// SEEK_DATA, SEEK_HOLE, and holes punched with fallocate(2). It works on numbers of descriptors that the
// caller owns, and keeps no state.
package clone
