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
//	gate      where a plane that intercepts hands operations to a frame, before they happen
//	call      one intercepted operation in one instance
//	context   a value that a filter has put on a volume, an instance, a file or an open file
//
// The package holds types and small interfaces only. It starts nothing, keeps no state and imports
// nothing but the standard library, so that an author of a filter or of a plane depends on this page
// alone.
//
// # What a filter may do in a callback
//
// A callback runs on a goroutine of the manager, or of the program whose operation it intercepts, never under a lock of
// the manager. So it may call the manager: mount volumes, detach instances, also its own. It must not wait for the end of
// its own instance or filter. It may block only as long as its context lives. It must not keep a Lease beyond the work it
// borrowed it for: weir keeps nothing open on an idle volume, so that umount means unmounted.
//
// # How an instance ends
//
// It is asked, if somebody detaches it by hand (QueryTeardown). From then on no operation enters it. It is told to finish
// what it has pended (TeardownStart). The operations that are below it and were to come back to it do so at once, with
// Draining, and end without it. When nothing is inside any more, no callback that runs either, Teardown is called; then
// holds are waited for, and the contexts end. What does not come to its end is named in listings. What is still pended
// fails when the time for that is over; everything else is waited for. Only at a shutdown, and when the filter is unloaded for
// good, it is left behind when the time is over: then nothing of the instance is called any more, not even a Teardown that
// has not yet been.
package weir
