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
// # Frames
//
// A frame is an interval of altitudes, linked to every volume. The first filter makes one of all altitudes. A
// filter that comes in above everything in the highest frame, with a foreign layer (an overlay, another
// program's FUSE) between, ends that frame at the layer and makes another; else the highest frame is raised.
// Frames are never removed. An instance below a layer has no business on the layer itself: it sees what
// reaches the volumes below.
//
// # Slots
//
// A slot is one instance of a filter, by its definition, on one volume.
//
//	pending ──claim──► setting up: the filter is asked ──concerned──► pending, for the link
//	   ▲                  │                                              │ claim
//	   │                  │ declined            error, late              ▼
//	   │ mounts changed   ▼                          ┌──────── setting up: Setup runs ──ok──► attached
//	   ├────────────── declined ◄────────────────────┤                                          │
//	   └──retry─────── failed   ◄────────────────────┘           detach, leave, stop            ▼
//	                                           detached, or no slot ◄──────────────────────  draining
//
// Work is offered, then claimed, then finished. The claim decides: whoever no longer finds the slot
// pending does nothing, so that an instance is set up exactly once. What is withdrawn before it was
// claimed is dropped at once; what has been claimed is flagged (draining) and resolved by its runner:
// the finish looks again whether volume and filter are still there, and asks for the matching teardown
// if they are not. A detach by hand is sticky: nothing but an attach by hand, or a new incarnation of
// the filter or the volume, undoes it. So is a removal, by which weir itself takes away an instance that it cannot go on
// with. An instance whose filter declines since the volume's mounts have changed is torn down, and its slot is pending then: the
// filter is asked anew.
//
// # Links
//
// The attachment of a frame to a volume is a link. A filter is asked first whether the volume concerns it; then
// its slot needs the link, and the set-up waits for that. A volume that does not accept the frame's plane has
// an unsupported link; its instances are set up all the same and have to scan. A link that no slot needs is
// given back, since observing costs every writer of a volume.
//
// # What holds in every state
//
//	I1  every frame has a link to every volume that is there
//	I2  every instance of every started filter has a slot on every volume that is there
//	I4  no instance is attached where nothing is observed, unless the volume does not accept it
//	I5  one runner at a time in a slot or link; as many set-ups as teardowns, or one more
//	I7  what was detached by hand, or removed, is not set up again
//	I8  no slot refers to what is gone
//	I9  a shutdown makes no slot, and ends
//	I10 the frames' intervals follow one another and hold their filters' altitudes
//	I11 the effects alone tell the state of every slot, also across a crash that loses the last of them
//
// A State is not safe for concurrent use. Nobody but the manager calls it.
package topology
