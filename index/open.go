package index

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
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
	disk   vfs.FS
	engine *pebble.DB
	guard  *guard
	gate   gate
	chain  chain

	mu       sync.Mutex
	replicas map[uint32]*Replica
}

// Open opens the index in dir, which is made if it does not exist. The caller must have made sure that
// nobody else has it open.
//
// The error is ErrDamaged if the files do not hold an index that can be read, ErrFailed if the disk fails
// or is full, and a weir.Error of KindRefused if a newer version of weir has written them.
func Open(dir string, o Options) (*DB, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := newGuard(log)
	db := &DB{dir: dir, memory: o.Memory, disk: guardedDisk{o.disk(), g}, guard: g, replicas: map[uint32]*Replica{}}
	err := g.run(func() error { return prepare(db.disk, dir, g) })
	if err == nil {
		db.engine, err = openEngine(db.disk, db.disk.PathJoin(dir, engineName), true, g)
	}
	if err != nil {
		return nil, err
	}
	if err = db.chain.load(db.engine); err == nil {
		err = db.loadCounts()
	}
	if err = db.explain(err); err != nil {
		_ = db.Close() // the first failure is the one to tell
		return nil, err
	}
	g.setHasty(false)
	return db, nil
}

func (o Options) disk() vfs.FS {
	switch {
	case o.FS != nil:
		return o.FS
	case o.Memory:
		return vfs.NewMem()
	default:
		return vfs.Default
	}
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
// waited for; batches that are still open fail. If the disk has failed, or is full, Close does not wait and
// says so. It may be called twice.
func (db *DB) Close() error {
	db.guard.setHasty(true)
	if !db.gate.close(db.guard.failed) {
		return nil
	}
	return wrap("close the index", db.guard.run(db.engine.Close))
}

// Health returns nil, or why the index does not work: ErrDamaged and ErrFailed are for good, any other
// error says that a write waits for the disk, as when it is full, and goes on by itself.
func (db *DB) Health() error {
	if err := db.guard.reason(); err != nil {
		return err
	}
	return db.guard.stall()
}

// Silent returns for how long the disk has answered none of the writes and syncs that are under way, as when its file system
// is frozen; 0 if none is.
func (db *DB) Silent() time.Duration { return db.guard.silent() }

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
