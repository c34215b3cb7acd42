// Package manager runs the topology: it tells it what happens, carries out what it asks for, and brings
// operations from planes to instances.
//
// It decides nothing about who gets an instance; package topology does. It knows no plane and no filter
// but through package weir.
//
// # Goroutines
//
// Discovery runs on one goroutine. Every piece of work (a plane attaches, a filter sets up an instance)
// runs on its own, so that a volume or a filter that hangs delays no other. Operations come on the
// planes' goroutines and are handed to an instance on that same goroutine unless another one is inside
// the instance; then that one finds them in the inbox. One goroutine writes the ledger.
//
// # Locks
//
//	Manager.mu      the topology, and what is known of volumes, filters and instances
//	inbox.mu        one instance's waiting operations
//	recorder.mu     records on their way to the ledger
//
// They are never held together but in this order, and no callback, system call or send happens under
// one. An operation takes one immutable snapshot of its volume's stack and needs no lock of the manager.
package manager
