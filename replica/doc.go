// Package replica decides, without touching anything, which steps make a replica equal to its source.
//
// It is a pure core: no system call, clock, goroutine or logger. What the source shows (an Observation)
// and what the replica holds (a View, in practice the index) go in, Steps come out. So the hard part of
// replication is tested by enumeration over trees in memory.
package replica
