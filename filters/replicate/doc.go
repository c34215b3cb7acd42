// Package replicate is the filter that keeps replicas of a file tree.
//
// # What it is made of
//
//	Replicator  the filter: decides which volumes show a part of the source, and keeps their places
//	place       one part of the source: the tree that a mount shows at or below SOURCE
//	target      one directory that replicas are written to; package target
//	unit        one place on one target, with its own dirty set, index and goroutine
//	session     a unit's short hold on both volumes; ends when either leaves
//	batch       names that are looked at, staged, made durable and shown together
//
// Replication is by state: an event only says where to look. A unit opens the directory by its handle,
// reads what is there now and makes the replica the same, so that duplicates, merged events and their
// order do not matter, and a rescan is the same code with "look everywhere".
//
// # One batch
//
//	look      the source at each name: stat, handle; compare with the index
//	stage     copy new content into temporaries in the target's .weir, several at a time
//	intend    write down in the index, durably, which names are about to change, and of what
//	sync      make the temporaries' data durable
//	show      rename, link, park, remove; then set the times of the directories
//	record    write the new state into the index, not yet counted as durable
//	barrier   in the background: sync the target, then advance the durable generation
//
// A crash between any two of these leaves names that the intents tell apart from foreign ones, and nodes
// whose generation is above the durable one, which the next scan reads again. Before it does, what an interrupted batch
// has moved is looked for at the names that the intents tell, and in the parking: see recover.go.
//
// A walk of the whole place lists one directory after the other, and carries out between two batches what events report. What
// is renamed from where it is still to be to where it has been is gone to in the end: see passedby.go.
//
// # Goroutines and locks
//
// Each unit has one goroutine that owns its batches, one that copies large files, and at most one that
// waits for a barrier. The manager's goroutines only add to dirty sets. Lock order: Replicator.mu, then
// unit.mu; no I/O is done under either. A target locks itself.
package replicate
