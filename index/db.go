package index

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Snapshot writes a copy of the index, as it is now, into dir, which must not hold one. The copy shares its
// files with the index by hard links where dir is on the same file system.
func (db *DB) Snapshot(dir string) error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	const op = "snapshot the index"
	if db.memory {
		return wrap(op, errors.New("it is in memory"))
	}
	if _, err := db.disk.Stat(db.disk.PathJoin(dir, engineName)); err == nil {
		return refused(op, dir, errors.New("it holds an index"), "name a directory that does not exist")
	}
	return wrap(op, db.guard.run(func() error {
		if err := makeDirs(db.disk, dir); err != nil {
			return err
		}
		if err := db.engine.Checkpoint(db.disk.PathJoin(dir, unfinished), pebble.WithFlushedWAL()); err != nil {
			return err
		}
		return finish(db.disk, dir)
	}))
}

// DropReplica removes everything of a replica, durably. No batch of it may be open.
func (db *DB) DropReplica(id uint32) error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	batch := db.engine.NewBatch()
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
	return wrap("sync the index", db.guard.run(func() error { return db.engine.LogData(nil, pebble.Sync) }))
}

// enter keeps the engine open until leave is called. It fails if the index is closed or has failed.
func (db *DB) enter() (leave func(), err error) {
	if err := db.guard.reason(); err != nil {
		return nil, fmt.Errorf("use the index: %w", err)
	}
	return db.gate.enter()
}

// explain adds to the error of a read that the engine has ended meanwhile, if that is so.
func (db *DB) explain(err error) error {
	if reason := db.guard.reason(); err != nil && reason != nil && !errors.Is(err, reason) {
		return fmt.Errorf("%w: %w", reason, err)
	}
	return err
}

// commit applies the batch and ends it. A batch that the engine was parked with is left to it.
func (db *DB) commit(batch *pebble.Batch, sync bool) error {
	err := db.guard.run(func() error {
		if err := db.chain.apply(db.engine, batch); err != nil || !sync {
			return err
		}
		return db.engine.LogData(nil, pebble.Sync)
	})
	if db.guard.reason() == nil {
		_ = batch.Close() // only says that it was closed before
	}
	return wrap("commit", err)
}
