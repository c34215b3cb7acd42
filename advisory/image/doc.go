// Package image reads what an advisory asks of an executable of Windows: the version resource, the machine, and the hash that
// signed catalogs list it by. It takes bytes and returns values: it opens nothing, starts nothing and remembers nothing, and all
// of it may be called from any goroutine.
//
// The bytes come from a disk that nobody vouches for. Whatever they are, the answer is a value or an error that wraps one of
// those below. Time is linear in the size of the file, and memory a small multiple of the version resource, which has 64 KiB at
// most. The walk is weir's own, over the structures of debug/pe: readers of whole executables follow trees of resources wherever
// these lead, which a file of some kilobytes makes as costly as it likes, and that of debug/pe refuses IA-64.
//
// Sources: "PE Format" and "Version Information" of the Windows SDK, and "Windows Authenticode Portable Executable Signature
// Format" of 2008.
package image
