package index

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

// likeReal returns the i-th node of a tree with 20 files in a directory, with handles like those of ext4.
func likeReal(i uint64) Node {
	attr := replica.Attr{
		Mode: replica.TypeFile | 0o644, UID: 1000, GID: 1000, Nlink: 1, Size: int64(i * 7919 % 1_000_003), Ino: i + 12,
		Mtime: replica.Time{Sec: 1_700_000_000 + int64(i), Nsec: uint32(i * 7919 % 1_000_000_000)},
	}
	attr.Ctime = attr.Mtime
	n := Node{Key: likeHandle(i), Source: attr, Target: attr, Xattrs: i * 0x9e3779b97f4a7c15, Gen: i / 1000}
	n.Target.Ino, n.Target.Ctime.Sec = i+99, 1_710_000_000
	n.Names = []Name{{Parent: likeHandle(i / 20), Name: fmt.Sprintf("document-%07d.txt", i)}}
	return n
}

func likeHandle(i uint64) weir.Handle {
	b := binary.LittleEndian.AppendUint32(nil, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(i+12))
	return weir.Handle(binary.LittleEndian.AppendUint32(b, uint32(i*2654435761)))
}

func fill(b *testing.B, r *Replica, nodes, perBatch uint64) {
	b.Helper()
	for i := uint64(0); i < nodes; {
		batch := r.NewBatch()
		for range perBatch {
			batch.Put(likeReal(i))
			i++
		}
		mustCommit(b, batch)
	}
}

// BenchmarkMillion writes a million nodes, opens the index again and reads: run it with -benchtime 1x. It
// reports what a user would measure, with the memory of the whole test process.
func BenchmarkMillion(b *testing.B) {
	const nodes = 1_000_000
	for b.Loop() {
		dir := b.TempDir()
		db := reopen(b, nil, dir)
		begin := time.Now()
		fill(b, db.Replica(1), nodes, 500)
		if err := db.Sync(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(nodes/time.Since(begin).Seconds(), "puts/s")
		b.ReportMetric(float64(rss(b))/1e6, "MB-after-puts")

		begin = time.Now()
		db = reopen(b, db, dir)
		b.ReportMetric(float64(time.Since(begin).Microseconds())/1000, "ms-to-reopen")
		debug.FreeOSMemory()
		b.ReportMetric(float64(rss(b))/1e6, "MB-reopened")

		begin = time.Now()
		const gets = 100_000
		for range gets {
			if _, found, err := db.Replica(1).Get(likeHandle(rand.Uint64N(nodes))); !found || err != nil {
				b.Fatal(found, err)
			}
		}
		b.ReportMetric(gets/time.Since(begin).Seconds(), "gets/s")
		b.ReportMetric(float64(rss(b))/1e6, "MB-after-gets")
		b.ReportMetric(float64(diskUsage(b, dir))/nodes, "diskbytes/node")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func reopen(b *testing.B, db *DB, dir string) *DB {
	b.Helper()
	if db != nil {
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
	db, err := Open(filepath.Join(dir, "index"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

func rss(b *testing.B) (bytes int64) {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &bytes); err != nil {
		b.Fatal(err)
	}
	return bytes << 10
}

func diskUsage(b *testing.B, dir string) (total int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if info, statErr := entry.Info(); err == nil && statErr == nil {
			total += info.Size()
		}
		return nil // files come and go while the engine works
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}

// BenchmarkPut changes one node of a hundred thousand in a batch of its own.
func BenchmarkPut(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			const nodes = 100_000
			db := reopen(b, nil, b.TempDir())
			fill(b, db.Replica(1), nodes, 500)
			b.ReportAllocs()
			for b.Loop() {
				batch := db.Replica(1).NewBatch()
				batch.Put(likeReal(rand.Uint64N(nodes)))
				if err := batch.Commit(sync); err != nil {
					b.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	n := likeReal(77)
	record := appendRecord(nil, &n)
	b.ReportMetric(float64(len(record)), "bytes/record")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeRecord(n.Key, record); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFill writes new nodes in batches of 500, as a first copy does.
func BenchmarkFill(b *testing.B) {
	db := reopen(b, nil, b.TempDir())
	b.ReportAllocs()
	batch, i := db.Replica(1).NewBatch(), uint64(0)
	for b.Loop() {
		batch.Put(likeReal(i))
		if i++; i%500 == 0 {
			mustCommit(b, batch)
			batch = db.Replica(1).NewBatch()
		}
	}
	mustCommit(b, batch)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
