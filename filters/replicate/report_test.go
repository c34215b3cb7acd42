package replicate

import (
	"log/slog"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
)

// TestOwedIsBehind puts a name in each of the places where it waits: what is known to be owed keeps a unit from being
// settled, and a stop from saying that all is done.
func TestOwedIsBehind(t *testing.T) {
	name := replica.Name{Parent: "d", Name: "f"}
	again := replica.Item{Dir: name.Parent, Name: name.Name}
	for what, c := range map[string]struct {
		put             func(u *unit)
		behind, settled bool
	}{
		"nothing":                         {func(*unit) {}, false, true},
		"a change":                        {func(u *unit) { u.dirty.Add(again) }, true, false},
		"vanished while it was looked at": {func(u *unit) { u.problem("f", &find{at: name}, errVanished) }, true, false},
		"waits for another name to leave": {func(u *unit) { u.problem("f", &find{at: name}, collision{"F", true}) }, true, false},
		"a copy that was interrupted":     {func(u *unit) { u.later.owe(time.Now().Add(retries.First), again) }, true, false},
		"a listed problem":                {func(u *unit) { u.problem("f", &find{at: name}, weir.ErrDecline) }, false, true},
		"a large file in the queue":       {func(u *unit) { u.bulk.enqueue(&find{at: name, key: "k"}) }, true, false},
		"a walk":                          {func(u *unit) { u.scan.wanted = true }, true, false},
		"a file that keeps changing":      {func(u *unit) { u.settle["k"] = settling{owed: true} }, true, true},
		"a file that is left in peace":    {func(u *unit) { u.settle["k"] = settling{} }, false, true},
	} {
		t.Run(what, func(t *testing.T) {
			r := &Replicator{log: slog.New(slog.DiscardHandler), signal: make(chan struct{}, 1)}
			r.listed.Store(true)
			u := &unit{r: r, place: &place{volume: struct{ weir.Volume }{}}, target: new(target.Target), settle: make(map[weir.Handle]settling)}
			u.barrier.u, u.bulk = u, newBulk(u)
			u.status.scans = 1
			c.put(u)
			if done, ok := u.settled(); done != c.settled || !ok || u.behind() != c.behind {
				t.Errorf("settled %v %v, behind %v", done, ok, u.behind())
			}
		})
	}
}
