package index

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weirfs/weir"
)

// TestManyNames gives a node 100,000 names and checks what one change costs: bytes that the batch writes.
func TestManyNames(t *testing.T) {
	const many = 100_000
	r := openMemory(t).Replica(1)
	b := r.NewBatch()
	n := Node{Key: "A"}
	for i := range many {
		n.Names = append(n.Names, entry("d", fmt.Sprintf("%06d", i)))
	}
	b.Put(n)
	mustCommit(t, b)

	n, _, err := r.Get("A")
	if err != nil || n.Apart != many || n.Names != nil || n.NameCount() != many {
		t.Fatal(n.Apart, len(n.Names), err)
	}
	for name, change := range map[string]func(*Batch){
		"put":    func(b *Batch) { n.Gen++; b.Put(n) },
		"link":   func(b *Batch) { b.Link("A", entry("d2", "new")) },
		"unlink": func(b *Batch) { b.Unlink("A", entry("d", "000500")) },
		"steal":  func(b *Batch) { b.Put(Node{Key: "B", Names: []Name{entry("d", "000501")}}) },
	} {
		b := r.NewBatch()
		change(b)
		if b.Len() > 400 {
			t.Errorf("%s writes %d bytes", name, b.Len())
		}
		mustCommit(t, b)
	}
	if n, _, _ := r.Get("A"); n.Apart != many-1 {
		t.Errorf("%d names", n.Apart)
	}
	if key, found, _ := r.Child("d", "000501"); !found || key != "B" {
		t.Errorf("the name that was taken leads to %q", key)
	}

	b = r.NewBatch()
	b.Delete("A")
	mustCommit(t, b)
	if got := children(t, r, "d", ""); got != "000501=B " {
		t.Errorf("%d bytes of entries are left", len(got))
	}
	if err := r.NamesOf("A", func(n Name) (bool, error) { return false, fmt.Errorf("%v is left", n) }); err != nil {
		t.Error(err)
	}
}

// TestNamesMoveOutAndIn crosses the limits by one name at a time.
func TestNamesMoveOutAndIn(t *testing.T) {
	r := openMemory(t).Replica(1)
	b := r.NewBatch()
	b.Put(Node{Key: "A"})
	name := func(i int) Name { return entry("d", fmt.Sprintf("%03d", i)) }
	for i := range maxNames + 1 {
		if n, _, _ := b.Get("A"); n.Apart != 0 || len(n.Names) != i {
			t.Fatalf("%d names: %d apart", i, n.Apart)
		}
		b.Link("A", name(i))
		b.Link("A", name(i)) // it has it already
	}
	for i := maxNames + 1; i > fewNames; i-- {
		if n, _, _ := b.Get("A"); n.Apart != int64(i) || n.Names != nil {
			t.Fatalf("%d names: %d apart", i, n.Apart)
		}
		b.Unlink("A", name(i-1))
		b.Unlink("A", name(i-1)) // it no longer has it
	}
	n, _, err := b.Get("A")
	if err != nil || n.Apart != 0 || len(n.Names) != fewNames {
		t.Fatalf("%d names: %d apart, %v", len(n.Names), n.Apart, err)
	}
	b.Link("nobody", name(0))
	if b.Err() == nil {
		t.Error("a name is linked to a node that does not exist")
	}
	b.Close()
}

func TestSample(t *testing.T) {
	r := openMemory(t).Replica(1)
	if nodes, err := r.Sample(5); len(nodes) != 0 || err != nil {
		t.Fatal(nodes, err)
	}
	b := r.NewBatch()
	for i := range 1000 {
		b.Put(Node{Key: weir.Handle(fmt.Sprintf("\x01\x00\x00\x00%c%c", i%250, i/250))})
	}
	mustCommit(t, b)
	for _, want := range []int{1, 2, 10, 100} {
		nodes, err := r.Sample(want)
		keys := map[weir.Handle]bool{}
		for _, n := range nodes {
			keys[n.Key] = true
		}
		if err != nil || len(keys) != len(nodes) || len(nodes) < (want+1)/2 || len(nodes) > want {
			t.Errorf("%d of %d: %v", len(nodes), want, err)
		}
		if !slices.IsSortedFunc(nodes, func(a, b Node) int { return compare(a.Key, b.Key) }) {
			t.Error("not in order")
		}
	}
	all, err := r.Sample(5000)
	if err != nil || len(all) != 1000 {
		t.Errorf("%d of all: %v", len(all), err)
	}
	count := 0
	err = r.Nodes("", func(Node) (bool, error) { count++; return true, nil })
	if count != 1000 || err != nil {
		t.Error(count, err)
	}
}

func compare(a, b weir.Handle) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// TestChildrenWhileWriting: a listing is not disturbed by what its callback commits or puts.
func TestChildrenWhileWriting(t *testing.T) {
	r := openMemory(t).Replica(1)
	b := r.NewBatch()
	for i := range 100 {
		b.Put(file(fmt.Sprint("key", i), entry("d", fmt.Sprintf("%03d", i))))
	}
	mustCommit(t, b)
	seen := 0
	err := r.Children("d", "", func(name string, key weir.Handle) (bool, error) {
		seen++
		b := r.NewBatch()
		b.Delete(key)
		b.Put(file("new"+name, entry("d", name+"+")))
		return true, b.Commit(false)
	})
	if seen != 100 || err != nil {
		t.Fatal(seen, err)
	}
	b = r.NewBatch()
	defer b.Close()
	err = b.Children("d", "", func(name string, key weir.Handle) (bool, error) {
		seen++
		b.Delete(key)
		return true, b.Err()
	})
	if seen != 200 || err != nil {
		t.Fatal(seen, err)
	}
	err = b.Children("d", "", func(name string, _ weir.Handle) (bool, error) { return false, fmt.Errorf("%s is left", name) })
	if err != nil {
		t.Fatal(err)
	}
}
