package index

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options change how an index is opened. The zero value is right for the daemon.
type Options struct {
	// Memory keeps everything in RAM, for tests and dry runs; nothing is read or written on disk.
	Memory bool

	// Logger is told what goes wrong in the background. The zero value drops it.
	Logger *slog.Logger

	// FS is where the engine's files are, in tests that cut the power. The zero value is the disk, or RAM
	// with Memory.
	FS vfs.FS
}

// DB is an open index. It is safe for concurrent use.
type DB struct {
	dir    string
	memory bool
	fs     vfs.FS
	log    *slog.Logger
	engine *pebble.DB
	gate   gate

	mu       sync.Mutex
	replicas map[uint32]*Replica
}

// Open opens the index in dir, which is created if it does not exist. The caller must have made sure that
// nobody else has it open: the engine's own lock is replaced by nothing, since a process that is stuck in
// the kernel would keep it until the machine is restarted.
//
// The error is ErrDamaged if the files do not hold an index that can be read, and a weir.Error of
// KindRefused if a newer version of weir has written them.
func Open(dir string, o Options) (*DB, error) {
	db := &DB{dir: dir, memory: o.Memory, log: o.Logger, replicas: map[uint32]*Replica{}}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	db.fs = o.fs()
	exists, err := checkFormat(db.fs, dir)
	if err != nil {
		return nil, err
	}
	if db.engine, err = openEngine(dir, exists, db.engineOptions()); err != nil {
		return nil, err
	}
	if !exists {
		err = writeFormat(db.fs, dir)
	}
	if err == nil {
		err = db.loadCounts()
	}
	if err != nil {
		_ = db.engine.Close() // the first failure is the one to tell
		return nil, err
	}
	return db, nil
}

func (o Options) fs() vfs.FS {
	switch {
	case o.FS != nil:
		return unlocked{o.FS}
	case o.Memory:
		return unlocked{vfs.NewMem()}
	default:
		return unlocked{vfs.Default}
	}
}

// engineOptions make the engine small: what it needs does not grow with the number of nodes, but for about
// a byte and a half of Bloom filter per key, which is read through the cache.
func (db *DB) engineOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 db.fs,
		CacheSize:          8 << 20,
		MemTableSize:       4 << 20,
		MaxOpenFiles:       256,
		FormatMajorVersion: pebble.FormatValueSeparation,
		Merger:             counting(),
		Logger:             engineLog{db.log},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// loadCounts reads the number of nodes of every replica.
func (db *DB) loadCounts() error {
	v := view{reader: db.engine}
	prefix := []byte{keyCount}
	return v.scan("read the counts", prefix, after(prefix), func(key, value []byte) (bool, error) {
		nodes, n := binary.Varint(value)
		if len(key) != 5 || n <= 0 {
			return false, fmt.Errorf("read the counts: %w", ErrDamaged)
		}
		db.Replica(binary.BigEndian.Uint32(key[1:])).nodes.Store(nodes)
		return true, nil
	})
}

// Close makes everything durable and closes the index. Calls that are under way, callbacks included, are
// waited for; batches that are still open fail. It may be called twice.
func (db *DB) Close() error {
	if !db.gate.close() {
		return nil
	}
	return wrap("close the index", db.engine.Close())
}

// Replica returns the replica of that number, which is empty if nothing was ever written to it. What the
// numbers mean is the caller's.
func (db *DB) Replica(id uint32) *Replica {
	db.mu.Lock()
	defer db.mu.Unlock()
	r := db.replicas[id]
	if r == nil {
		r = &Replica{db: db, id: id}
		db.replicas[id] = r
	}
	return r
}
