package manager_test

import (
	"context"
	"errors"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// found is what a filter knows in Post of the name that something was given.
type found struct {
	dir, name string // where the entry is now: the directory that Pre has seen, wherever that is
	leads     bool   // the name leads to what was given it
	err       error
}

// find looks, in Post, for what has become of the entry that Pre has seen.
func find(ctx context.Context, site weir.Site, c weir.Call) (f found) {
	dir, name := c.Parameters().Dir, c.Parameters().Name
	if c.Parameters().Op == weir.OpRename {
		dir, name = c.Parameters().NewDir, c.Parameters().NewName
	}
	paths, err := site.Volume.Locate(ctx, []weir.Handle{dir})
	if err != nil {
		return found{err: err}
	}
	opened, err := site.Host.Issue(ctx, &weir.Parameters{Op: weir.OpOpen, Dir: dir, Name: name})
	if err != nil {
		return found{err: err}
	}
	if opened.Err == nil {
		_, err = site.Host.Issue(ctx, &weir.Parameters{Op: weir.OpClose, Open: opened.Open})
	}
	return found{paths[dir], name, opened.Err == nil && opened.Object == c.Result().Object, err}
}

// TestEntriesOutliveRenames has somebody else rename between Pre and Post: directories above the entry, which changes nothing
// but its path, and the entry itself, which only a look can tell.
func TestEntriesOutliveRenames(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(v *memory.Volume) error
		after     bool // the operation has been carried out
		want      found
	}{
		"nothing":                     {func(*memory.Volume) error { return nil }, false, found{"/d", "b", true, nil}},
		"the parent before":           {func(v *memory.Volume) error { return v.Rename("d", "e") }, false, found{"/e", "b", true, nil}},
		"the parent after":            {func(v *memory.Volume) error { return v.Rename("d", "e") }, true, found{"/e", "b", true, nil}},
		"another in the parent's way": {func(v *memory.Volume) error { return errors.Join(v.Rename("d", "e"), v.Mkdir("d"), v.Create("d/b")) }, true, found{"/e", "b", true, nil}},
		"the name is gone":            {func(v *memory.Volume) error { return v.Rename("d/b", "c") }, true, found{"/d", "b", false, nil}},
		"the name is another's":       {func(v *memory.Volume) error { return errors.Join(v.Rename("d/b", "c"), v.Create("d/b")) }, true, found{"/d", "b", false, nil}},
		"the parent is gone": {func(v *memory.Volume) error {
			_ = v.Remove("d/a") // It is there if this is a creation.
			return errors.Join(v.Rename("d/b", "c"), v.Remove("d"))
		}, true, found{"", "b", false, nil}},
	} {
		for op, do := range map[weir.Ops]func(v *memory.Volume) error{
			weir.OpRename: func(v *memory.Volume) error { return v.Rename("d/a", "d/b") },
			weir.OpCreate: func(v *memory.Volume) error { return v.Create("d/b") },
		} {
			t.Run(name+", "+op.String(), func(t *testing.T) { entryOutlives(t, op, do, tt.meanwhile, tt.after, tt.want) })
		}
	}
}

// entryOutlives does an operation under two filters: the upper one looks, the lower one has others do something, before or
// after the operation has been carried out.
func entryOutlives(t *testing.T, op weir.Ops, do, meanwhile func(*memory.Volume) error, after bool, want found) {
	var volume *memory.Volume
	var seen weir.Parameters
	done := false
	others := func(c weir.Call, now bool) {
		if c.Parameters().Op == op && now && !done {
			done = true
			check(t, meanwhile(volume))
		}
	}
	looked := 0
	upper := func(g *guard) {
		g.pre = func(_ *guard, _ context.Context, c weir.Call) weir.PreStatus {
			if c.Parameters().Op != op || done {
				return weir.PreSkipPost
			}
			seen = *c.Parameters()
			return weir.PreContinue
		}
		g.post = func(g *guard, ctx context.Context, c weir.Call) weir.PostStatus {
			looked++
			if p := c.Parameters(); p.Dir != seen.Dir || p.Name != seen.Name || p.NewDir != seen.NewDir || p.NewName != seen.NewName {
				t.Errorf("Post sees %+v, Pre has seen %+v", p, seen)
			}
			if got := find(ctx, g.site, c); got != want {
				t.Errorf("found %+v, want %+v", got, want)
			}
			return weir.PostFinished
		}
	}
	lower := func(g *guard) {
		g.pre = func(_ *guard, _ context.Context, c weir.Call) weir.PreStatus {
			others(c, !after)
			return weir.PreContinue
		}
		g.post = func(_ *guard, _ context.Context, c weir.Call) weir.PostStatus {
			others(c, after)
			return weir.PostFinished
		}
	}
	simulate(t, func(l *log) []*weir.Filter {
		return []*weir.Filter{guardFilter(l, "upper", "200", upper), guardFilter(l, "lower", "100", lower)}
	}, func(t *testing.T, b *bench) {
		volume = b.mount(1)
		b.wantState(t, "upper", 1, "attached")
		done = true // until all is prepared
		check(t, volume.Mkdir("d"), volume.Create("d/a"))
		done = false
		check(t, do(volume))
		if looked != 1 {
			t.Errorf("Post has looked %d times", looked)
		}
	})
}
