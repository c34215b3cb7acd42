package tree

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/sys/xattr"
)

// Xattrs are the extended attributes of one inode: value by full name, of all namespaces, access control
// lists (system.posix_acl_access, system.posix_acl_default) included.
type Xattrs map[string]string

// capability is the attribute that gives an executable file privileges.
const capability = "security.capability"

// Digest is a hash of all names and values that stays the same across restarts and machines; without
// attributes it is zero.
func (x Xattrs) Digest() (digest [16]byte) {
	if len(x) == 0 {
		return digest
	}
	h := sha256.New()
	var length [8]byte
	for _, name := range slices.Sorted(maps.Keys(x)) {
		for _, s := range []string{name, x[name]} {
			binary.LittleEndian.PutUint64(length[:], uint64(len(s)))
			h.Write(length[:])
			h.Write([]byte(s))
		}
	}
	copy(digest[:], h.Sum(nil))
	return digest
}

// Xattrs returns the extended attributes of the object with the given name, of whatever type, and does not
// follow it; of the directory itself for the empty name. A file system without attributes has none: the map
// is empty then, and not nil.
func (d *Dir) Xattrs(name string) (Xattrs, error) {
	if name == "" {
		return readXattrs(d.FD(), false)
	}
	if err := component(name); err != nil {
		return nil, err
	}
	if xattr.None(d.FD(), name) {
		return Xattrs{}, nil
	}
	n, err := at.Open(d.FD(), name, at.Path, 0, at.Beneath)
	if err != nil {
		return nil, named("read attributes of", name, err)
	}
	defer at.Close(n)
	x, err := readXattrs(n, true)
	if err != nil {
		return nil, named("read attributes of", name, err)
	}
	return x, nil
}

// Xattrs returns the extended attributes of the file.
func (f *File) Xattrs() (Xattrs, error) { return readXattrs(f.FD(), false) }

func readXattrs(n int, path bool) (Xattrs, error) {
	x, err := xattr.All(xattr.FD{N: n, Path: path})
	if err == nil && x == nil {
		x = map[string]string{}
	}
	return Xattrs(x), err
}
