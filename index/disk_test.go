package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// trouble makes writes fail: those from the first-th on, or that one alone.
type trouble struct {
	seen  atomic.Int64
	first atomic.Int64
	last  atomic.Int64
	errno syscall.Errno
}

func (f *trouble) String() string { return "trouble" }

func (f *trouble) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose {
		return nil
	}
	if n := f.seen.Add(1); n >= f.first.Load() && n <= f.last.Load() {
		return f.errno
	}
	return nil
}

func newTrouble(errno syscall.Errno, first, last int64) *trouble {
	f := &trouble{errno: errno}
	f.first.Store(first)
	f.last.Store(last)
	return f
}

const forever = int64(1) << 62

// work opens an index, commits with a flush between, and closes it. It returns every state that may be
// found, and which of them must be.
func work(disk vfs.FS) (states []*model, durable int, err error) {
	states = []*model{newModel()}
	db, err := Open("state/index", Options{FS: disk})
	if err != nil {
		return states, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for i := range 4 {
		m, b := states[len(states)-1].clone(), db.Replica(7).NewBatch()
		for _, key := range modelKeys {
			names := []Name{entry("A", fmt.Sprint(key, i)), entry("", string(key))}
			b.Put(Node{Key: key, Gen: uint64(i), Names: names})
			m.put(key, uint64(i), names)
		}
		states = append(states, m)
		if err := b.Commit(i%2 == 0); err != nil {
			return states, durable, err
		}
		if i%2 == 0 {
			durable = len(states) - 1
		}
		if i == 1 {
			if err := db.guard.run(db.engine.Flush); err != nil {
				return states, durable, err
			}
		}
	}
	if err := db.Sync(); err != nil {
		return states, durable, err
	}
	return states, len(states) - 1, nil
}

// TestEveryWriteFails lets each write of the engine fail, alone or with all that follow, with the power cut
// afterwards or not: calls return, the process lives, what was durable is there, and nothing in between.
func TestEveryWriteFails(t *testing.T) {
	for _, last := range []int64{0, forever} {
		for n := int64(1); ; n++ {
			disk, bad := vfs.NewCrashableMem(), newTrouble(syscall.EIO, n, max(n, last))
			states, durable, err := work(errorfs.Wrap(disk, bad))
			if bad.seen.Load() < n {
				if err != nil || durable != 4 {
					t.Fatalf("without trouble: %v", err)
				}
				break
			}
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("write %d to %d: %v", n, max(n, last), err)
			}
			for name, after := range map[string]vfs.FS{"power cut": disk.CrashClone(vfs.CrashCloneCfg{}), "restart": disk} {
				db, err := Open("state/index", Options{FS: after})
				if err != nil {
					t.Fatalf("write %d to %d, %s: %v", n, max(n, last), name, err)
				}
				if _, _, err = survivor(db.Replica(7), states, durable); err != nil {
					t.Errorf("write %d to %d, %s: %v", n, max(n, last), name, err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// onFullDisk opens an index on a disk that has been full since. The caller closes it.
func onFullDisk(t *testing.T) (disk *vfs.MemFS, bad *trouble, db *DB) {
	t.Helper()
	disk, bad = vfs.NewCrashableMem(), newTrouble(syscall.ENOSPC, forever, 0)
	db, err := Open("state/index", Options{FS: errorfs.Wrap(disk, bad)})
	if err != nil {
		t.Fatal(err)
	}
	db.guard.pause = time.Millisecond
	bad.last.Store(forever)
	bad.first.Store(0)
	return disk, bad, db
}

// TestFullDisk fills the disk at each write in turn: once there is room, everything goes on.
func TestFullDisk(t *testing.T) {
	disk, bad, db := onFullDisk(t)
	b := db.Replica(1).NewBatch()
	b.Put(file("A", entry("d", "a")))
	done := make(chan error, 1)
	go func() { done <- b.Commit(true) }()
	for db.Health() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := db.Health(); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatal("committed on a full disk: ", err)
	case <-time.After(20 * time.Millisecond):
	}
	bad.last.Store(0)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := db.Health(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := children(t, mustOpen(t, disk.CrashClone(vfs.CrashCloneCfg{})).Replica(1), "d", ""); got != "a=A " {
		t.Fatal(got)
	}
}

// TestCloseOnFullDisk: whoever waits for room gives up when the index is closed.
func TestCloseOnFullDisk(t *testing.T) {
	disk, _, db := onFullDisk(t)
	done := make(chan error, 1)
	go func() { done <- db.SetMeta("k", []byte("v")) }()
	for db.Health() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := db.Close(); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if v, err := mustOpen(t, disk).Meta("k"); v != nil || err != nil {
		t.Fatal(v, err)
	}
}

func mustOpen(t *testing.T, disk vfs.FS) *DB {
	t.Helper()
	return open(t, Options{FS: disk})
}

// TestOpenOnFullDisk: a full disk is told at the start, not waited for.
func TestOpenOnFullDisk(t *testing.T) {
	bad := newTrouble(syscall.ENOSPC, 3, forever)
	_, err := Open("state/index", Options{FS: errorfs.Wrap(vfs.NewMem(), bad)})
	if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestFailedIndexTellsEveryCall: after the disk has failed every call says so, and so does Health.
func TestFailedIndexTellsEveryCall(t *testing.T) {
	bad := newTrouble(syscall.EROFS, forever, 0)
	db, err := Open("state/index", Options{FS: errorfs.Wrap(vfs.NewMem(), bad)})
	if err != nil {
		t.Fatal(err)
	}
	r := db.Replica(1)
	open := r.NewBatch()
	bad.last.Store(forever)
	bad.first.Store(0)
	b := r.NewBatch()
	b.Put(file("A"))
	_ = b.Commit(false) // whether the failure is seen here depends on when the log is written
	_, _, get := r.Get("A")
	open.Put(file("B"))
	for i, err := range []error{db.Sync(), db.Health(), db.SetMeta("k", nil), db.DropReplica(1), open.Commit(false), db.Close()} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if get != nil && !errors.Is(get, ErrFailed) {
		t.Error(get)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// shutDown is a file whose syncs succeed, whatever a read says.
type shutDown struct {
	vfs.File
	read error
}

func (f shutDown) Sync() error                       { return nil }
func (f shutDown) SyncData() error                   { return nil }
func (f shutDown) SyncTo(int64) (bool, error)        { return false, nil }
func (f shutDown) ReadAt([]byte, int64) (int, error) { return 0, f.read }

// TestSyncWhileShutDown: a file system that is shut down says of a sync that is under way that all is well.
func TestSyncWhileShutDown(t *testing.T) {
	for name, c := range map[string]struct {
		read  error
		fails bool
	}{
		"it is up":          {nil, false},
		"nothing is in it":  {io.EOF, false},
		"it is a directory": {syscall.EISDIR, false},
		"it is shut down":   {&fs.PathError{Op: "read", Path: "000002.log", Err: syscall.EIO}, true},
	} {
		for how := range 3 {
			g := newGuard(slog.New(slog.DiscardHandler))
			f := &guardedFile{File: shutDown{read: c.read}, guard: g}
			err := g.run(func() error {
				switch how {
				case 0:
					return f.Sync()
				case 1:
					return f.SyncData()
				}
				_, err := f.SyncTo(1)
				return err
			})
			if errors.Is(err, ErrFailed) != c.fails {
				t.Errorf("%s, sync %d: %v", name, how, err)
			}
		}
	}
}
