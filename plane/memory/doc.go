// Package memory is a plane, volumes and a discovery that live in memory, for tests of filters and of the
// manager. Nothing in it touches a file system, and nothing happens by itself: an operation on a Volume is
// told to its sinks on the goroutine that does it, before the call returns, unless the Plane was told to
// hold operations back. Held operations can be delivered in part, merged as fanotify merges them, put out
// of order or lost. The same calls in the same order have the same result.
//
// Every operation on a Volume passes the gates of those who intercept it, and is carried out below them, where
// Volume.Obstruct can let it hang or fail.
//
// # Goroutines and locks
//
// The package starts no goroutine but Discovery.Run's caller. Volume.mu guards a tree and who listens;
// attachment.mu guards one queue and makes calls of one sink exclusive of each other without being held
// over them. Plane.mu, which guards the lists of both, is taken before either; those two are not held together. No gate,
// sink or obstacle is called under a lock.
package memory
