package index

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weirfs/weir"
)

// model is an index as its documentation says it: nodes with sets of names, one owner for each name.
type model struct {
	nodes map[weir.Handle]map[Name]bool
	gens  map[weir.Handle]uint64
	meta  map[string]string
}

func newModel() *model {
	return &model{map[weir.Handle]map[Name]bool{}, map[weir.Handle]uint64{}, map[string]string{}}
}

func (m *model) clone() *model {
	c := &model{map[weir.Handle]map[Name]bool{}, maps.Clone(m.gens), maps.Clone(m.meta)}
	for key, names := range m.nodes {
		c.nodes[key] = maps.Clone(names)
	}
	return c
}

func (m *model) owner(n Name) weir.Handle {
	for key, names := range m.nodes {
		if names[n] {
			return key
		}
	}
	return ""
}

func (m *model) link(key weir.Handle, n Name) {
	delete(m.nodes[m.owner(n)], n)
	m.nodes[key][n] = true
}

func (m *model) put(key weir.Handle, gen uint64, names []Name) {
	m.nodes[key] = map[Name]bool{}
	m.gens[key] = gen
	for _, n := range names {
		m.link(key, n)
	}
}

// reader is what Replica and Batch have in common.
type reader interface {
	Get(weir.Handle) (Node, bool, error)
	Child(weir.Handle, string) (weir.Handle, bool, error)
	Children(weir.Handle, string, func(string, weir.Handle) (bool, error)) error
	NamesOf(weir.Handle, func(Name) (bool, error)) error
}

var (
	modelKeys    = []weir.Handle{"A", "B", "C", "\x00", "\xff\xff"}
	modelParents = []weir.Handle{"", "A", "AA", "\xff"}
)

// agree reads everything in every way.
func (m *model) agree(r reader) error {
	for _, key := range modelKeys {
		if err := m.agreeNode(r, key); err != nil {
			return fmt.Errorf("node %q: %w", key, err)
		}
	}
	for _, parent := range modelParents {
		want, got := map[string]weir.Handle{}, map[string]weir.Handle{}
		for key, names := range m.nodes {
			for n := range names {
				if n.Parent == parent {
					want[n.Name] = key
				}
			}
		}
		var order []string
		err := r.Children(parent, "", func(name string, key weir.Handle) (bool, error) {
			got[name] = key
			order = append(order, name)
			found, ok, err := r.Child(parent, name)
			if !ok || found != key {
				return false, fmt.Errorf("child %q is %q, listed as %q", name, found, key)
			}
			return true, err
		})
		if d := cmp.Diff(want, got); err != nil || d != "" || !slices.IsSorted(order) {
			return fmt.Errorf("children of %q: %v %s", parent, err, d)
		}
	}
	return nil
}

func (m *model) agreeNode(r reader, key weir.Handle) error {
	n, found, err := r.Get(key)
	want, exists := m.nodes[key]
	if err != nil || found != exists {
		return fmt.Errorf("found %v: %w", found, err)
	}
	names := map[Name]bool{}
	err = r.NamesOf(key, func(n Name) (bool, error) {
		names[n] = true
		return true, nil
	})
	if err != nil || !maps.Equal(names, want) || n.NameCount() != int64(len(want)) || n.Gen != m.gens[key] {
		return fmt.Errorf("names %v (%d), want %v: %w", names, n.NameCount(), want, err)
	}
	if n.Apart > 0 && (n.Names != nil || n.Apart <= fewNames) {
		return fmt.Errorf("%d names are kept apart", n.Apart)
	}
	return nil
}

func (m *model) agreeReplica(r *Replica) error {
	if n, err := r.Count(); n != int64(len(m.nodes)) || err != nil {
		return fmt.Errorf("%d nodes, want %d", n, len(m.nodes))
	}
	got := map[string]string{}
	err := r.MetaRange("", func(key string, value []byte) (bool, error) {
		got[key] = string(value)
		return true, nil
	})
	if d := cmp.Diff(m.meta, got); err != nil || d != "" {
		return fmt.Errorf("values: %v %s", err, d)
	}
	if err := m.agreeTogether(r); err != nil {
		return err
	}
	return m.agree(r)
}

// agreeTogether reads all nodes in one call, and the same as one by one.
func (m *model) agreeTogether(r *Replica) error {
	var got []weir.Handle
	keys := append(slices.Clone(modelKeys), "B", "no", "")
	err := r.GetAll(keys, func(n Node) error {
		one, found, err := r.Get(n.Key)
		if d := cmp.Diff(one, n); err == nil && (d != "" || !found) {
			err = fmt.Errorf("node %q: %s", n.Key, d)
		}
		got = append(got, n.Key)
		return err
	})
	want := slices.Collect(maps.Keys(m.nodes))
	if m.nodes["B"] != nil {
		want = append(want, "B") // It was asked for twice.
	}
	slices.Sort(want)
	if !slices.Equal(got, want) || err != nil {
		return fmt.Errorf("together %q, want %q: %w", got, want, err)
	}
	return nil
}

func drawName() *rapid.Generator[Name] {
	return rapid.Custom(func(t *rapid.T) Name {
		name := rapid.SampledFrom([]string{"a", "b", "", "\xff", "\xff\xff", "a\n"}).Draw(t, "name")
		return Name{Parent: rapid.SampledFrom(modelParents).Draw(t, "parent"), Name: name}
	})
}

// drawNames draws few names, or so many that they are kept apart.
func drawNames() *rapid.Generator[[]Name] {
	return rapid.Custom(func(t *rapid.T) []Name {
		names := rapid.SliceOfN(drawName(), 0, 4).Draw(t, "names")
		if rapid.IntRange(0, 3).Draw(t, "many") == 0 {
			from := rapid.IntRange(0, 60).Draw(t, "from")
			for i := range rapid.SampledFrom([]int{fewNames, maxNames, maxNames + 20}).Draw(t, "count") {
				names = append(names, Name{Parent: "A", Name: fmt.Sprint(from + i)})
			}
		}
		return names
	})
}

// change makes one random change to both.
func change(t *rapid.T, b *Batch, m *model, gen uint64) {
	key := rapid.SampledFrom(modelKeys).Draw(t, "key")
	switch rapid.SampledFrom([]string{"put", "touch", "delete", "link", "unlink", "drain", "meta"}).Draw(t, "change") {
	case "put":
		names := drawNames().Draw(t, "names")
		b.Put(Node{Key: key, Gen: gen, Names: names})
		m.put(key, gen, names)
	case "touch":
		if n, found, _ := b.Get(key); found {
			n.Gen = gen
			b.Put(n)
			m.gens[key] = gen
		}
	case "delete":
		b.Delete(key)
		delete(m.nodes, key)
		delete(m.gens, key)
	case "link":
		if n := drawName().Draw(t, "name"); m.nodes[key] != nil {
			b.Link(key, n)
			m.link(key, n)
		}
	case "unlink":
		n := drawName().Draw(t, "name")
		b.Unlink(key, n)
		delete(m.nodes[key], n)
	case "drain":
		for n := range m.nodes[key] {
			if len(m.nodes[key]) > fewNames-1 {
				b.Unlink(key, n)
				delete(m.nodes[key], n)
			}
		}
	case "meta":
		name := rapid.SampledFrom([]string{"", "k", "k2"}).Draw(t, "meta")
		if rapid.Bool().Draw(t, "set") {
			b.Meta(name, []byte(fmt.Sprint(gen)))
			m.meta[name] = fmt.Sprint(gen)
		} else {
			b.Meta(name, nil)
			delete(m.meta, name)
		}
	}
}

// TestModel: whatever is written in batches, that are committed or dropped, is read as the model says, with
// the batch's own writes and without, by a neighbour not at all, and after the index was opened again.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{FS: vfs.NewMem()}
		db, err := Open("index", o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		committed, neighbour := newModel(), newModel()
		id := rapid.SampledFrom([]uint32{0, 1, 255, 1<<32 - 1}).Draw(t, "id")
		for gen := range uint64(rapid.IntRange(1, 6).Draw(t, "batches")) {
			b, m := db.Replica(id).NewBatch(), committed.clone()
			for range rapid.IntRange(1, 8).Draw(t, "changes") {
				change(t, b, m, gen+1)
			}
			if err := errors.Join(m.agree(b), committed.agreeReplica(db.Replica(id)), neighbour.agreeReplica(db.Replica(id+1))); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 4).Draw(t, "drop") == 0 {
				b.Close()
				continue
			}
			if err := b.Commit(rapid.Bool().Draw(t, "sync")); err != nil {
				t.Fatal(err)
			}
			committed = m
			if rapid.IntRange(0, 2).Draw(t, "reopen") == 0 {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				if db, err = Open("index", o); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := committed.agreeReplica(db.Replica(id)); err != nil {
			t.Fatal(err)
		}
		if err := db.DropReplica(id); err != nil {
			t.Fatal(err)
		}
		if err := newModel().agreeReplica(db.Replica(id)); err != nil {
			t.Fatal(err)
		}
	})
}
