// Package manager runs the topology: it tells it what happens, carries out what it asks for, and connects planes and
// instances.
//
// It decides nothing about who gets an instance; package topology does. It brings no operation to one; package dispatch
// does. It knows no plane and no filter but through package weir.
//
// # Goroutines
//
// Discovery runs on one goroutine. Every piece of work (a plane attaches, a filter sets up an instance)
// runs on its own, so that a volume or a filter that hangs delays no other. One goroutine writes the ledger.
//
// A callback of a filter that is being unloaded for good runs on a goroutine that can be left behind: the manager waits
// for it no longer than it has promised, and what it does after that counts for nothing.
//
// What instances ask for may change while they are attached: each change has one goroutine at a time bring the frame's
// attachment in line, under the caller's context. Conversations with programs run on the goroutines of who brings them, and
// end with their filter.
//
// # Locks
//
//	Manager.mu      the topology, and what is known of volumes, filters and instances
//	dispatch        the locks of that package
//	recorder.mu     records on their way to the ledger
//
// They are never held together but in this order, and no callback, system call or send happens under
// one. An operation needs no lock of the manager, unless a filter sends it to another volume.
package manager
