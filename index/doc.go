// Package index is the durable memory of what each replica holds: which source inode became which
// object, under which names, and in which state it was seen. It is the only package that imports Pebble.
//
// It owns one directory, or RAM (Options.Memory), and everything in it. It decides nothing: what flags
// mean, when a record is written and which of its values are compared with what is the caller's.
//
// # Records
//
// A Replica is a namespace: one target of one place. It holds one record for each Node, found by the
// source's handle, and one entry for each name, found by parent and name. No path is kept anywhere, so
// that a directory of a million files moves with one record and two entries. The entries follow from the
// records: (p, n) leads to k if and only if (p, n) is one of the names of k. Batch keeps it so, and a name
// has one owner at any time.
//
// All children of a directory are one contiguous range of keys, in byte order of their names, and every
// key begins with the replica's number, so that dropping a replica is one range deletion:
//
//	'c' replica                          -> count   number of nodes
//	'd' 'l', 'd' 's'                     -> number  of the last commit, and of all commits
//	'g' key                              -> value   values of the whole index
//	'r' replica 'n' handle               -> record  a node, see record.go
//	'r' replica 'e' |parent| parent name -> handle  an entry
//	'r' replica 'l' |handle| handle |parent| parent name   a name of a node with many
//	'r' replica 'v' key                  -> value   values of the replica
//
// where replica is 4 bytes big endian and |x| is the length of x as a varint. The version of all this is in
// the file FORMAT beside the engine's files.
//
// # What a change costs
//
// A node's names are part of its record up to 64. A node with more keeps them apart, one key each: a Put
// that leaves them alone, Link and Unlink cost the same for 65 as for 100,000 names. Only the Put that
// lists them all, the Delete and the listing itself cost as much as there are names.
//
// # What it needs
//
// Memory does not grow with the number of nodes: a test process that writes, opens and reads an index has a
// resident set of 66 MB with 1,000,000 nodes and 69 MB with 4,000,000 (BenchmarkMillion, Go 1.26, of which
// 12 MiB are cache and memtables, and as much again is left to the collector). On the disk a node of one
// name takes about 108 bytes.
//
// # Durability
//
// A Batch is atomic: after a crash all of it is there or nothing. Commit(false) may be lost by a power cut,
// with everything that was committed after it; Commit(true), SetMeta and Sync return when everything
// committed so far is on the disk. Closing makes everything durable. A directory whose files are damaged
// is told by ErrDamaged, at Open or when the damage is read; it is set aside and rebuilt by comparison. What
// is damaged at the very end of the log cannot be told from a write that a power cut has torn: the index is
// then as it was some commits ago, as a whole. A caller that must know keeps a number of its last commit
// elsewhere, as the marker on a target does.
//
// A full disk is waited for, and Health says so; every other failure of a write ends the index with
// ErrFailed, until it is closed and opened again. It does not end the process.
//
// # Concurrency
//
// DB and Replica are safe for concurrent use. A Batch belongs to one goroutine, and two batches that touch
// the same node or name must not be open at the same time, since each is made of differences to what it
// has read. Reading never waits for writing. DB.mu, gate.mu and guard.mu are leaves, held for the access to
// a few fields; chain.mu is held while the engine takes a commit into memory, and no other lock of the
// package is taken before it. The engine runs its own goroutines for flushes and compactions, which Close
// waits for. Calls into the engine that may write run on a goroutine of their own, so that their callers
// return when the disk fails; those that did not return are then left parked, see guard.
package index
