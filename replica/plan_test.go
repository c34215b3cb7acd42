package replica

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirfs/weir"
)

// fsys is a file tree in memory: what the source is, and what a replica is made into. It refuses what a
// real file system refuses.
type fsys struct {
	dirs    map[weir.Handle]map[string]weir.Handle // entries by directory
	isDir   map[weir.Handle]bool                   // every inode that has been made
	counter int
}

const rootKey weir.Handle = "root"

func newFsys() *fsys {
	return &fsys{dirs: map[weir.Handle]map[string]weir.Handle{rootKey: {}}, isDir: map[weir.Handle]bool{rootKey: true}}
}

func (f *fsys) names(key weir.Handle) []Name {
	var list []Name
	for dir, entries := range f.dirs {
		for name, k := range entries {
			if k == key {
				list = append(list, Name{dir, name})
			}
		}
	}
	slices.SortFunc(list, func(a, b Name) int {
		if a.Parent != b.Parent {
			return cmp(string(a.Parent), string(b.Parent))
		}
		return cmp(a.Name, b.Name)
	})
	return list
}

func cmp(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// inside reports whether dir is key or below it.
func (f *fsys) inside(dir, key weir.Handle) bool {
	for dir != rootKey && dir != Parking {
		if dir == key {
			return true
		}
		names := f.names(dir)
		if len(names) == 0 {
			return false
		}
		dir = names[0].Parent
	}
	return dir == key
}

// rename is renameat2 without flags, over what may stand there.
func (f *fsys) rename(from, to Name) error {
	key, ok := f.dirs[from.Parent][from.Name]
	switch {
	case !ok:
		return fmt.Errorf("rename %v: ENOENT", from)
	case f.isDir[key] && f.inside(to.Parent, key):
		return fmt.Errorf("rename %v into itself: EINVAL", from)
	}
	if old, taken := f.dirs[to.Parent][to.Name]; taken {
		switch {
		case old == key:
			return nil
		case f.isDir[old] && (!f.isDir[key] || len(f.dirs[old]) > 0):
			return fmt.Errorf("rename over directory %v: EISDIR or ENOTEMPTY", to)
		case f.isDir[key] && !f.isDir[old]:
			return fmt.Errorf("rename directory over file %v: ENOTDIR", to)
		}
		f.unlink(to)
	}
	delete(f.dirs[from.Parent], from.Name)
	f.dirs[to.Parent][to.Name] = key
	return nil
}

func (f *fsys) unlink(at Name) {
	key := f.dirs[at.Parent][at.Name]
	delete(f.dirs[at.Parent], at.Name)
	if f.isDir[key] {
		delete(f.dirs, key)
	}
}

// target is a replica in memory with the view that the planner has of it.
type target struct {
	*fsys
	source *fsys
	made   map[weir.Handle]int // how often each inode was made
	kept   bool                // nothing is overwritten by what has moved
}

func (t *target) Get(key weir.Handle) (Node, bool, error) {
	names := t.names(key)
	if len(names) == 0 && key != rootKey {
		return Node{}, false, nil
	}
	mode := uint32(TypeFile)
	if t.isDir[key] {
		mode = TypeDir
	}
	return Node{Key: key, Source: Attr{Mode: mode}, Names: names}, true, nil
}

func (t *target) Child(at Name) (weir.Handle, bool, error) {
	key, ok := t.dirs[at.Parent][at.Name]
	return key, ok, nil
}

func (t *target) AnyName(n Node) (Name, bool, error) {
	if len(n.Names) == 0 {
		return Name{}, false, nil
	}
	return n.Names[0], true, nil
}

func (t *target) Alive(key weir.Handle) (bool, error) { return len(t.source.names(key)) > 0, nil }

// carryOut performs steps as the applier does.
func (t *target) carryOut(steps []Step, dir bool) error {
	for _, s := range steps {
		if s.Over != "" {
			if t.dirs[s.To.Parent][s.To.Name] != s.Over {
				return fmt.Errorf("%+v: another node is there", s)
			}
		} else if s.Verb != Drop && s.Verb != Rekey {
			if _, taken := t.dirs[s.To.Parent][s.To.Name]; taken {
				return fmt.Errorf("%+v: the name is taken", s)
			}
		}
		switch s.Verb {
		case Make:
			if s.Over != "" {
				t.unlink(s.To)
			}
			t.dirs[s.To.Parent][s.To.Name] = s.Key
			t.isDir[s.Key] = dir
			if dir {
				t.dirs[s.Key] = map[string]weir.Handle{}
			}
			t.made[s.Key]++
		case Move:
			if err := t.rename(s.From, s.To); err != nil {
				return err
			}
		case Link:
			if t.isDir[s.Key] || t.dirs[s.From.Parent][s.From.Name] != s.Key {
				return fmt.Errorf("%+v: cannot be linked", s)
			}
			t.dirs[s.To.Parent][s.To.Name] = s.Key
		case Rekey:
			if t.dirs[s.From.Parent][s.From.Name] != s.Old || !t.isDir[s.Old] || !dir {
				return fmt.Errorf("%+v: cannot be taken over", s)
			}
			t.dirs[s.From.Parent][s.From.Name] = s.Key
			t.isDir[s.Key], t.dirs[s.Key] = true, t.dirs[s.Old]
			delete(t.isDir, s.Old)
			delete(t.dirs, s.Old)
			t.made[s.Key]++
		case Drop:
			if t.isDir[s.Key] && len(t.dirs[s.Key]) > 0 {
				return fmt.Errorf("%+v: ENOTEMPTY", s)
			}
			t.unlink(s.From)
		}
		if t.kept && (s.Verb == Move || s.Verb == Link) && s.Over != "" && len(t.names(s.Over)) == 0 {
			return fmt.Errorf("%+v: what was there is not kept", s)
		}
	}
	return nil
}

// look plans and carries out what the source shows at one name now.
func (t *target) look(at Name) error {
	if _, ok := t.dirs[at.Parent]; !ok {
		return nil // The directory is not on the replica; when it comes, it is walked.
	}
	key, ok := t.source.dirs[at.Parent][at.Name]
	if !ok {
		steps, err := Vanish(t, at)
		if err != nil {
			return err
		}
		return t.carryOut(steps, false)
	}
	attr := Attr{Mode: TypeFile, Nlink: uint32(len(t.source.names(key)))}
	if t.source.isDir[key] {
		attr.Mode = TypeDir
	}
	_, known, _ := t.Get(key)
	steps, err := Appear(t, Sighting{At: at, Key: key, Attr: attr, Kept: t.kept})
	if err != nil {
		return err
	}
	if err := t.carryOut(steps, attr.IsDir()); err != nil {
		return err
	}
	if attr.IsDir() && !known {
		return t.walk(key)
	}
	return nil
}

// walk looks at every name that the source or the replica has in a directory, and below.
func (t *target) walk(dir weir.Handle) error {
	all := map[string]bool{}
	for name := range t.source.dirs[dir] {
		all[name] = true
	}
	for name := range t.dirs[dir] {
		all[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := t.look(Name{dir, name}); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.source.dirs[dir])) {
		if sub := t.source.dirs[dir][name]; t.source.isDir[sub] {
			if err := t.walk(sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// mutate performs one random operation and returns the names that it touched.
func (f *fsys) mutate(t *rapid.T) []Name {
	dirs := slices.SortedFunc(maps.Keys(f.dirs), func(a, b weir.Handle) int { return cmp(string(a), string(b)) })
	pick := func(label string) Name {
		return Name{rapid.SampledFrom(dirs).Draw(t, label+" dir"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, label)}
	}
	switch one, two := pick("one"), pick("two"); rapid.SampledFrom([]string{"make", "mkdir", "rename", "exchange", "link", "remove"}).Draw(t, "op") {
	case "make", "mkdir":
		if _, taken := f.dirs[one.Parent][one.Name]; taken {
			return nil
		}
		f.counter++
		key := weir.Handle(fmt.Sprint("i", f.counter))
		f.isDir[key] = f.counter%2 == 0
		if f.isDir[key] {
			f.dirs[key] = map[string]weir.Handle{}
		}
		f.dirs[one.Parent][one.Name] = key
		return []Name{one}
	case "rename":
		if f.rename(one, two) != nil {
			return nil
		}
		return []Name{one, two}
	case "exchange":
		a, okA := f.dirs[one.Parent][one.Name]
		b, okB := f.dirs[two.Parent][two.Name]
		if !okA || !okB || f.isDir[a] && f.inside(two.Parent, a) || f.isDir[b] && f.inside(one.Parent, b) {
			return nil
		}
		f.dirs[one.Parent][one.Name], f.dirs[two.Parent][two.Name] = b, a
		return []Name{one, two}
	case "link":
		key, ok := f.dirs[one.Parent][one.Name]
		if _, taken := f.dirs[two.Parent][two.Name]; !ok || taken || f.isDir[key] {
			return nil
		}
		f.dirs[two.Parent][two.Name] = key
		return []Name{two}
	default:
		key, ok := f.dirs[one.Parent][one.Name]
		if !ok || f.isDir[key] && len(f.dirs[key]) > 0 {
			return nil
		}
		f.unlink(one)
		return []Name{one}
	}
}

// TestPlansConverge changes a source at random, shows the planner the touched names late, in any order and
// in part, and then walks: the replica must equal the source, no step may be one that a file system
// refuses, and an inode that the replica had is never made again.
func TestPlansConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := newFsys()
		r := &target{fsys: newFsys(), source: source, made: map[weir.Handle]int{}, kept: rapid.Bool().Draw(t, "kept")}
		r.dirs[Parking] = map[string]weir.Handle{}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			var touched []Name
			for range rapid.IntRange(1, 25).Draw(t, "operations") {
				touched = append(touched, source.mutate(t)...)
			}
			for _, at := range rapid.Permutation(touched).Draw(t, "order") {
				if rapid.Bool().Draw(t, "lost") {
					continue
				}
				if err := r.look(at); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.walk(rootKey); err != nil {
				t.Fatal(err)
			}
			compare(t, source, r)
		}
		for key, n := range r.made {
			if n > 1 && len(source.names(key)) > 0 {
				t.Fatalf("%s was made %d times", key, n)
			}
		}
	})
}

func compare(t *rapid.T, source *fsys, r *target) {
	for dir, entries := range source.dirs {
		if !maps.Equal(entries, r.dirs[dir]) {
			t.Fatalf("directory %s is %v, on the replica %v", dir, entries, r.dirs[dir])
		}
	}
	for _, key := range r.dirs[Parking] {
		if len(source.names(key)) > 0 && !source.inside(source.names(key)[0].Parent, rootKey) {
			t.Fatalf("%s is parked and visible", key)
		}
	}
}
