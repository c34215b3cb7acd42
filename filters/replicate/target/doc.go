// Package target is one directory that replicas are written to: how it is recognised, what it can store, what is
// mounted below it, and its barrier.
//
// A target is prepared once, when weir starts: it is refused, or gets its hidden directory with a marker in it, and
// the index remembers which directory that is. From then on it is borrowed for every piece of work. Borrow proves that
// the directory is the one that the index describes; a target that is not there, or is another one, is never written.
// What a Hold has open ends with its lease.
//
// The generation is a number on the target that each barrier raises before it syncs, and that the index is told after
// the sync. One that is older on the target than in the index says that the target was rolled back.
//
// A Target is safe for concurrent use; a Hold belongs to who has borrowed it. Lock order: barrierMu or limitsMu, then
// mu. I/O is done under the first two, never under mu.
package target
