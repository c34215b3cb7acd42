// Package probe tries what the kernel and the privileges of the process allow: one probe for each feature
// that weir uses, with the kernel that brought it and what weir does without it. A probe really does the
// thing, on a file system that it makes and that nobody sees; it leaves nothing behind and reads no version
// number, except the one that is about the version.
//
// The package decides nothing. Its functions may be called from any goroutine, and answer within
// milliseconds. Tests skip for want of a feature only through it.
package probe
