package manager_test

import (
	"context"
	"os"
	"testing"

	"github.com/weirfs/weir"
)

// passing is a spy that operations pass.
type passing struct{ *spy }

// Pre logs, and lets the operation go on.
func (s passing) Pre(_ context.Context, call weir.Call) weir.PreStatus {
	s.log.add("%s: pre %s %s", s.name, call.Parameters().Op, call.Parameters().Name)
	return weir.PreContinue
}

// Post logs.
func (s passing) Post(_ context.Context, call weir.Call) weir.PostStatus {
	s.log.add("%s: post %s %s", s.name, call.Parameters().Op, call.Parameters().Name)
	return weir.PostFinished
}

// TestClassesAreLeftOut has filters that leave out different ones, side by side, on both ways.
func TestClassesAreLeftOut(t *testing.T) {
	filters := func(l *log) (list []*weir.Filter) {
		for name, skips := range map[string]weir.Skips{"100": weir.SkipDirs, "200": weir.SkipFiles, "300": weir.SkipOwn, "400": weir.SkipFiles | weir.SkipOwn} {
			f := spyFilter(l, name, name, nil)
			f.Wants, f.Before, f.After = weir.Changes, weir.OpRename, weir.OpRename
			f.Skips = skips
			set := f.Setup
			f.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) {
				in, err := set(ctx, site)
				return passing{in.(*spy)}, err
			}
			list = append(list, f)
		}
		return list
	}
	simulate(t, filters, func(t *testing.T, b *bench) {
		v := b.mount(1)
		b.wantAnyOrder(t, "100@1: setup 1", "200@1: setup 1", "300@1: setup 1", "400@1: setup 1")
		check(t, v.Mkdir("d"), v.Create("d/f"))
		b.want(t, "200@1: create d", "300@1: create d", "400@1: create d", "100@1: create f", "300@1: create f")
		check(t, v.Rename("d", "e"))
		b.want(t, "400@1: pre rename d", "300@1: pre rename d", "200@1: pre rename d", "200@1: rename d", "300@1: rename d", "400@1: rename d",
			"200@1: post rename d", "300@1: post rename d", "400@1: post rename d")
		check(t, v.Rename("e/f", "f"))
		b.want(t, "300@1: pre rename f", "100@1: pre rename f", "100@1: rename f", "300@1: rename f", "100@1: post rename f", "300@1: post rename f")
		root, err := v.Handle("")
		check(t, err, v.Do(t.Context(), &weir.Parameters{Op: weir.OpCreate, Dir: root, Name: "own", IsDir: true, PID: os.Getpid()}).Err)
		b.want(t, "200@1: create own")
		check(t, v.Do(t.Context(), &weir.Parameters{Op: weir.OpRename, Dir: root, Name: "f", NewDir: root, NewName: "g", PID: os.Getpid()}).Err)
		b.want(t, "100@1: pre rename f", "100@1: rename f", "100@1: post rename f")
	})
}
