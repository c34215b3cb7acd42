package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// crashModel commits batches to a disk that may lose what was not synced, cuts the power, and finds a
// state in which each batch is there as a whole or not at all, in order, and those that were synced are.
func crashModel(t *rapid.T, percent int) {
	disk := vfs.NewCrashableMem()
	states := []*model{newModel()}
	durable := 0
	for cut := range 3 {
		db, err := Open("state/index", Options{FS: disk})
		if err != nil {
			t.Fatalf("after %d power cuts: %v", cut, err)
		}
		r := db.Replica(7)
		if states, durable, err = survivor(r, states, durable); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 5).Draw(t, "batches") {
			m, b := states[len(states)-1].clone(), r.NewBatch()
			gen := uint64(len(states))
			for range rapid.IntRange(1, 5).Draw(t, "changes") {
				change(t, b, m, gen)
			}
			b.Meta("number", []byte(fmt.Sprint(gen)))
			m.meta["number"] = fmt.Sprint(gen)
			sync := rapid.Bool().Draw(t, "sync")
			if err := b.Commit(sync); err != nil {
				t.Fatal(err)
			}
			states = append(states, m)
			if sync {
				durable = len(states) - 1
			}
		}
		seed := rapid.Uint64().Draw(t, "seed")
		after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 0))})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		disk = after
	}
}

// survivor finds the state that the index is in, which is durable or later, and forgets those behind it.
func survivor(r *Replica, states []*model, durable int) ([]*model, int, error) {
	var err error
	for i := len(states) - 1; i >= durable; i-- {
		if err = states[i].agreeReplica(r); err == nil {
			return states[:i+1], i, nil
		}
	}
	return nil, 0, fmt.Errorf("no state from %d to %d has survived: %w", durable, len(states)-1, err)
}

func TestPowerCut(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("%d%%", percent), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { crashModel(t, percent) })
		})
	}
}

// TestPowerCutWhileOpening cuts the power after every sync of the first Open: the next one succeeds.
func TestPowerCutWhileOpening(t *testing.T) {
	for seed := range uint64(10) {
		disk := vfs.NewCrashableMem()
		snapshots := make(chan *vfs.MemFS, 1000)
		db, err := Open("state/index", Options{FS: cutting{disk, seed, snapshots}})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		close(snapshots)
		for after := range snapshots {
			db, err := Open("state/index", Options{FS: after})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// cutting takes a picture of what a power cut would leave whenever a file is made, renamed or removed.
type cutting struct {
	*vfs.MemFS
	seed  uint64
	after chan<- *vfs.MemFS
}

func (c cutting) cut() {
	c.after <- c.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(c.seed, 0))})
}

func (c cutting) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	defer c.cut()
	return c.MemFS.Create(name, category)
}

func (c cutting) Rename(from, to string) error {
	defer c.cut()
	return c.MemFS.Rename(from, to)
}

func (c cutting) Remove(name string) error {
	defer c.cut()
	return c.MemFS.Remove(name)
}

func (c cutting) OpenDir(name string) (vfs.File, error) {
	defer c.cut()
	return c.MemFS.OpenDir(name)
}
