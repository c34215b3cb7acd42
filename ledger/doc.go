// Package ledger is the durable record of which volumes there were, what was owed on them, and in which
// intervals they were not covered.
//
// It owns one append-only file, ledger, in the state directory. Every line is a checksum and a JSON
// record; the first line names the format and its version. A cut at any byte loses at most the records
// behind it: a torn last line is dropped at the next Open, and a line that has been damaged in the middle
// is skipped; both are counted by Damaged. The file is compacted when it has grown to a multiple of what it has to say.
//
// # What is durable when
//
// A record survives the end of the process when the call that made it returns, and a power cut once a
// later Sync or Close has returned. That is enough: the next Open opens a gap for every filter and volume
// that were attached at the end, which begins with the last record that survived, or with Close. So it may
// be longer than the truth but never shorter, and no record that a power cut takes can hide a hole. Damage that goes deeper
// can, or the loss of the whole file: so who opens a ledger asks Damaged and First, and opens a gap on what it knows to
// have been followed before.
//
// A write that fails, as on a full disk, is no error of the call: what was recorded is kept in memory, and Retry writes it when
// that is possible again. Until then Health says why the file is behind. Whoever records calls Retry: Notify says from when on.
//
// # Sessions
//
// A weir.VolumeID means something in one session only. Gaps therefore keep the identity of their volume,
// and a scan of the same volume in a later session closes them.
//
// A Ledger is safe for concurrent use. Its one lock is held over writes to the file, since the order of
// records is the order of calls; it calls nobody.
package ledger
