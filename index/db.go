package index

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Snapshot writes a copy of the index, as it is now, into dir, which must not exist. The copy shares its
// files with the index by hard links where dir is on the same file system.
func (db *DB) Snapshot(dir string) error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	if db.memory {
		return wrap("snapshot the index", errors.New("it is in memory"))
	}
	if err := db.engine.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return wrap("snapshot the index", err)
	}
	return writeFormat(db.fs, dir)
}

// DropReplica removes everything of a replica, durably. No batch of it may be open.
func (db *DB) DropReplica(id uint32) error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	batch := db.engine.NewBatch()
	defer func() { _ = batch.Close() }()
	prefix := space(id).prefix()
	err = errors.Join(batch.DeleteRange(prefix, after(prefix), nil), batch.Delete(countKey(id), nil))
	if err != nil {
		return wrap("drop a replica", err)
	}
	if err := db.commit(batch, true); err != nil {
		return err
	}
	db.Replica(id).nodes.Store(0)
	return nil
}

// Meta returns a value of the index, or nil if it is not set.
func (db *DB) Meta(key string) ([]byte, error) {
	leave, err := db.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	value, err := get(db.engine, globalKey(key))
	return value, wrap("read a value", err)
}

// SetMeta sets a value of the index, durably; nil deletes it.
func (db *DB) SetMeta(key string, value []byte) error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	batch := db.engine.NewBatch()
	defer func() { _ = batch.Close() }()
	if value == nil {
		err = batch.Delete(globalKey(key), nil)
	} else {
		err = batch.Set(globalKey(key), value, nil)
	}
	if err != nil {
		return wrap("set a value", err)
	}
	return db.commit(batch, true)
}

// MetaKeys returns the keys of all values of the index that begin with prefix, in byte order.
func (db *DB) MetaKeys(prefix string) (keys []string, err error) {
	leave, err := db.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	from := globalKey(prefix)
	err = view{reader: db.engine}.scan("list values", from, after(from), func(key, _ []byte) (bool, error) {
		keys = append(keys, string(key[1:]))
		return true, nil
	})
	return keys, err
}

// Sync returns when everything that was committed before it is on the disk.
func (db *DB) Sync() error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	return wrap("sync the index", db.engine.LogData(nil, pebble.Sync))
}

func (db *DB) enter() (leave func(), err error) { return db.gate.enter() }

func (db *DB) commit(batch *pebble.Batch, sync bool) error {
	return wrap("commit", db.engine.Apply(batch, &pebble.WriteOptions{Sync: sync}))
}
