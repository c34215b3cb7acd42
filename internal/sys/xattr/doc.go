// Package xattr reads and writes extended attributes of any inode, and shows access control lists as
// text. An object is given by a descriptor, which may be one of O_PATH: then the calls go through /proc,
// since the kernel refuses them on such a descriptor. It keeps no state.
package xattr
