// Package weir is the seam between the filter manager, its filters and its planes.
//
// The vocabulary, which every package, command and document uses in the same sense:
//
//	volume    one mounted file system: a superblock incarnation with all the mounts that show it
//	filter    a named set of callbacks, registered at an altitude
//	altitude  an exact decimal; higher is farther from the volume
//	frame     a contiguous range of altitudes, attached to every volume
//	instance  one filter on one volume at one altitude
//	slot      the debt for one (filter, volume) pair and its state
//	plane     the mechanism by which a frame reaches a volume
//	gap       an interval in which a pair was not covered, with its cause
//
// The package holds types and small interfaces only. It starts nothing, keeps no state and imports
// nothing but the standard library, so that an author of a filter or of a plane depends on this page
// alone.
//
// # What a filter may do in a callback
//
// A callback runs on a goroutine of the manager, never under a lock of the manager. It may block only
// as long as its context lives. It must not keep a Lease beyond the work it borrowed it for: weir keeps
// nothing open on an idle volume, so that umount means unmounted.
package weir
