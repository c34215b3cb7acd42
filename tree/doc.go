// Package tree is one file tree on disk, read and written safely and faithfully, and the comparison of two.
//
// It owns descriptors (Dir, File) and knows nothing of volumes, policies, the index or the manager: whoever
// calls it knows which tree is meant. Every call works on one name below an open directory, so a tree may be
// deeper than PATH_MAX, and a directory that is moved while it is worked in stays the one that was opened.
//
// # Containment
//
// Names are opened with openat2(2) and RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV: no name, link
// or race leads out of the directory or onto another mount. A symbolic link, FIFO, socket or device is only
// ever opened with O_PATH, so no open blocks or has an effect: a name is looked at before it is opened for
// reading, and a handle is opened without a look only if its inode was seen to be a regular file. Attributes
// are set on the object that was opened, never on a name. What was opened by handle (Dir.OpenHandle) may lie anywhere on the file system, so
// such a directory refuses every change.
//
// # Errors
//
// Errors wrap the errno. Dir.Lookup answers fs.ErrNotExist only for ENOENT, which proves absence; every
// other error (EACCES, ESTALE, EIO, ...) proves nothing. ErrStale says that a handle leads nowhere. What a
// file system cannot store is not an error but an entry in Unstored.
//
// # Concurrency
//
// A Dir is safe for concurrent use, but Close does not wait for calls inside. A File is used by one goroutine
// at a time. No function starts a goroutine or keeps state; there are no locks. /proc must be mounted.
package tree
