// Package topology decides which filter has an instance on which volume. It is a pure state machine:
// State.Apply takes an Input and returns Effects. There is no goroutine, clock, lock or I/O in it, so
// that a test can explore every order in which mounts, filters, operators and their results can meet.
//
// # Publishing and owing are one step
//
// A volume that arrives, a filter that starts and a frame that is created become visible in the same
// transition in which the slot of every pair that they thereby owe is made. Work is done later; the debt
// cannot be lost. Two sides that first walk each other's list and then publish themselves can miss each
// other; here no transition exists in which that could happen.
//
// # Slots
//
//	pending ──claim──► setting up ──ok──► attached ──detach, leave, stop──► draining ──► detached, or no slot
//	   ▲                  │    │
//	   │ mounts changed   │    └─error──► failed ──retry──► pending
//	   └──── declined ◄───┘
//
// Work is offered, then claimed, then finished. The claim decides: whoever no longer finds the slot
// pending does nothing, so that an instance is set up exactly once. What is withdrawn before it was
// claimed is dropped at once; what has been claimed is flagged (draining) and resolved by its runner:
// the finish looks again whether volume and filter are still there, and asks for the matching teardown
// if they are not. A detach by hand is sticky: nothing but an attach by hand, or a new incarnation of
// the filter or the volume, undoes it.
//
// # Links
//
// The attachment of a frame to a volume is a link. A filter is asked first whether the volume concerns it; then its
// slot needs the link, and the set-up waits for that. A volume that
// does not accept the frame's plane has an unsupported link; its instances are set up all the same and
// have to scan. A link that no slot needs is given back, since observing costs every writer of a volume.
//
// A State is not safe for concurrent use. Nobody but the manager calls it.
package topology
