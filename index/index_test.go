package index

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

func openMemory(t *testing.T) *DB {
	t.Helper()
	return open(t, Options{Memory: true})
}

func open(t *testing.T, o Options) *DB {
	t.Helper()
	db, err := Open("state/index", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func mustCommit(t testing.TB, b *Batch) {
	t.Helper()
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
}

func entry(parent, name string) Name { return Name{Parent: weir.Handle(parent), Name: name} }

func file(key string, names ...Name) Node {
	attr := replica.Attr{Mode: replica.TypeFile | 0o644, Nlink: uint32(len(names)), Size: 5, Ino: 7, Mtime: replica.Time{Sec: -1, Nsec: 9}}
	return Node{Key: weir.Handle(key), Source: attr, Target: attr, Gen: 3, Names: names}
}

func children(t testing.TB, r *Replica, parent, after string) string {
	t.Helper()
	var out string
	err := r.Children(weir.Handle(parent), after, func(name string, key weir.Handle) (bool, error) {
		out += fmt.Sprintf("%s=%s ", name, key)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPutMovesNames(t *testing.T) {
	r := openMemory(t).Replica(1)
	b := r.NewBatch()
	b.Put(file("A", entry("d", "a")))
	b.Put(file("B", entry("d", "b"), entry("dd", "b")))
	mustCommit(t, b)
	if got := children(t, r, "d", ""); got != "a=A b=B " {
		t.Fatal(got)
	}

	// A takes B's name, then B takes the one that A had: a swap.
	b = r.NewBatch()
	b.Put(file("A", entry("d", "b")))
	if n, _, _ := b.Get("B"); !cmp.Equal(n.Names, []Name{entry("dd", "b")}) {
		t.Fatalf("B still has %v", n.Names)
	}
	if got := children(t, r, "d", ""); got != "a=A b=B " {
		t.Fatalf("the replica shows what is not committed: %s", got)
	}
	b.Put(file("B", entry("d", "a")))
	mustCommit(t, b)
	if got := children(t, r, "d", ""); got != "a=B b=A " {
		t.Fatal(got)
	}
	if got := children(t, r, "d", "a"); got != "b=A " {
		t.Fatal(got)
	}
	if got := children(t, r, "dd", ""); got != "" {
		t.Fatal(got)
	}

	b = r.NewBatch()
	b.Delete("A")
	b.Delete("nothing")
	mustCommit(t, b)
	if got := children(t, r, "d", ""); got != "a=B " {
		t.Fatal(got)
	}
	if n, _ := r.Count(); n != 1 {
		t.Fatalf("%d nodes", n)
	}
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	db, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := file("A", entry("", ""), entry("d", "b\n\xff"))
	want.Xattrs, want.Flags, want.Text = 77, 0xffff, "x"
	b := db.Replica(9).NewBatch()
	b.Put(want)
	b.Meta("k", []byte("v"))
	mustCommit(t, b)
	if err := db.SetMeta("x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := db.Snapshot(copied); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Replica(9).Get("A"); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, copied} {
		db, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := db.Replica(9)
		got, found, err := r.Get("A")
		if d := cmp.Diff(want, got); !found || err != nil || d != "" {
			t.Fatal(found, err, d)
		}
		if n, _ := r.Count(); n != 1 {
			t.Fatalf("%d nodes", n)
		}
		if v, err := r.Meta("k"); string(v) != "v" || err != nil {
			t.Fatal(v, err)
		}
		if keys, err := db.MetaKeys(""); !cmp.Equal(keys, []string{"x"}) || err != nil {
			t.Fatal(keys, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
