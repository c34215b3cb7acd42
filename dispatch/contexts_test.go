package dispatch

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weirfs/weir"
)

// value is a context's value that counts its ends.
type value struct {
	mu    sync.Mutex
	ends  int
	panic bool
}

func (v *value) Cleanup() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ends++
	if v.panic {
		panic("oh")
	}
}

func (v *value) ended() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ends
}

var (
	onFile     = weir.ContextKey{Kind: weir.ContextFile, File: "inode"}
	onOpen     = weir.ContextKey{Kind: weir.ContextOpen, Open: 7}
	onInstance = weir.ContextKey{Kind: weir.ContextInstance}
	onVolume   = weir.ContextKey{Kind: weir.ContextVolume}
)

// withContexts is a rig with an instance and something that intercepts.
func withContexts() (*rig, *Instance, *fakeInterception) {
	r := newRig()
	held := new(fakeInterception)
	r.SetInterception(held)
	return r, r.instance("100", 0, 0, new(recording)), held
}

func TestContextIsKeptOrReplaced(t *testing.T) {
	r, in, _ := withContexts()
	h := in.Host()
	first, second, third := new(value), new(value), new(value)
	a, set, err := h.SetContext(onFile, first, weir.KeepExisting)
	if err != nil || !set || a.Value() != first {
		t.Fatal("the first is not set:", err)
	}
	b, set, err := h.SetContext(onFile, second, weir.KeepExisting)
	if err != nil || set || b.Value() != first {
		t.Error("the first was not kept:", err)
	}
	c, set, err := h.SetContext(onFile, third, weir.ReplaceExisting)
	if err != nil || !set || c.Value() != third {
		t.Error("the first was not replaced:", err)
	}
	a.Release()
	if first.ended() != 0 {
		t.Error("it ended while it was referenced")
	}
	b.Release()
	if first.ended() != 1 || second.ended() != 0 {
		t.Errorf("the first ended %d times, the one that was not set %d times", first.ended(), second.ended())
	}
	c.Release()
	if got, err := h.Context(onFile); err != nil || got.Value() != third {
		t.Error("not found:", err)
	} else {
		got.Release()
	}
	r.end(in, patient())
	if third.ended() != 1 {
		t.Errorf("the third ended %d times", third.ended())
	}
}

func TestContextsEndWithTheirObjects(t *testing.T) {
	for name, tt := range map[string]struct {
		key weir.ContextKey
		end func(*rig, weir.Host)
	}{
		"file gone": {onFile, func(r *rig, _ weir.Host) { r.FileGone("inode") }},
		"open gone": {onOpen, func(r *rig, _ weir.Host) { r.OpenGone(7) }},
		"dropped":   {onInstance, func(_ *rig, h weir.Host) { h.DropContext(onInstance) }},
	} {
		r, in, _ := withContexts()
		v := new(value)
		c, _, err := in.Host().SetContext(tt.key, v, weir.KeepExisting)
		if err != nil {
			t.Fatal(err)
		}
		tt.end(r, in.Host())
		if _, err := in.Host().Context(tt.key); weir.KindOf(err) != weir.KindAbsent {
			t.Errorf("%s: it is still there: %v", name, err)
		}
		if v.ended() != 0 {
			t.Errorf("%s: it ended while it was referenced", name)
		}
		c.Release()
		if v.ended() != 1 {
			t.Errorf("%s: it ended %d times", name, v.ended())
		}
	}
}

func TestContextOfWhatIsNoMore(t *testing.T) {
	_, in, held := withContexts()
	asked := 0
	held.gone = func(weir.ContextKey) bool { asked++; return asked > 1 }
	v := new(value)
	c, set, err := in.Host().SetContext(onFile, v, weir.KeepExisting) // it goes while it is set
	if err != nil || !set {
		t.Fatal(err)
	}
	c.Release()
	if v.ended() != 1 {
		t.Error("the context outlives the file")
	}
	if _, _, err := in.Host().SetContext(onFile, v, weir.KeepExisting); weir.KindOf(err) != weir.KindAbsent || v.ended() != 1 {
		t.Errorf("set on what is no more: %v", err)
	}
}

func TestVolumeContextsAreShared(t *testing.T) {
	r, in, _ := withContexts()
	v := new(value)
	c, _, err := in.Host().SetContext(onVolume, v, weir.KeepExisting)
	if err != nil {
		t.Fatal(err)
	}
	c.Release()
	r.end(in, patient())
	if v.ended() != 0 {
		t.Error("it ended with one of the instances")
	}
	in.shared.End()
	if v.ended() != 1 {
		t.Error("it did not end")
	}
}

func TestContextsAreChecked(t *testing.T) {
	r, in, _ := withContexts()
	in.kinds = []weir.ContextKind{weir.ContextInstance, weir.ContextFile, weir.ContextOpen}
	for name, key := range map[string]weir.ContextKey{
		"kind not registered": onVolume, "no kind": {}, "no file": {Kind: weir.ContextFile}, "no open file": {Kind: weir.ContextOpen},
	} {
		if _, _, err := in.Host().SetContext(key, 1, weir.KeepExisting); weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := &value{panic: true}
	c, _, err := in.Host().SetContext(onInstance, bad, weir.KeepExisting)
	if err != nil {
		t.Fatal(err)
	}
	r.end(in, patient())
	c.Release()
	c.Release()
	if _, _, err := in.Host().SetContext(onInstance, 1, weir.KeepExisting); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("set after the end: %v", err)
	}
	s := r.logger.String()
	for _, want := range []string{"panic in Cleanup", "released more often than it was taken", "contexts are still referenced"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q was not logged: %s", want, s)
		}
	}
	if bad.ended() != 1 {
		t.Errorf("it ended %d times", bad.ended())
	}
}

// Every value that was set ends once, whoever sets, takes, replaces and drops at the same time.
func TestContextsUnderLoad(t *testing.T) {
	r, in, _ := withContexts()
	var mu sync.Mutex
	var values []*value
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			h := in.Host()
			for i := range 500 {
				key := weir.ContextKey{Kind: weir.ContextFile, File: weir.Handle(fmt.Sprint(i % 3))}
				switch (i + g) % 4 {
				case 0, 1:
					v := new(value)
					c, set, err := h.SetContext(key, v, weir.SetContext(i%2))
					if err != nil {
						return
					}
					if set {
						mu.Lock()
						values = append(values, v)
						mu.Unlock()
					}
					c.Release()
				case 2:
					if c, err := h.Context(key); err == nil {
						if c.Value().(*value).ended() != 0 {
							t.Error("a context that is referenced has ended")
						}
						c.Release()
					}
				case 3:
					r.FileGone(key.File)
				}
			}
		})
	}
	wg.Wait()
	r.end(in, patient())
	for _, v := range values {
		if v.ended() != 1 {
			t.Fatalf("a value ended %d times", v.ended())
		}
	}
}
