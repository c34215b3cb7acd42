// Package comparer compares two trees, for tests alone: it is the judge of replicas, so it imports
// nothing of weir and shares no code with it. An architecture test holds it to that.
//
// It compares names, types, content, owners, the twelve mode bits, nanosecond modification times (of
// directories and symbolic links too), extended attributes with the ACLs among them, hard-link groups,
// symbolic links' texts, device numbers and, roughly, holes. It goes through mounts, as a reader would.
// Its own tests plant a difference in each of these, and let rsync judge the same trees.
//
// The trees must stand still meanwhile. Functions may be called from any goroutine.
package comparer
