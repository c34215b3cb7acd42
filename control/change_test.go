package control

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/topology"
)

// TestAttachTellsWhatComesOfIt meets each end that it can come to.
func TestAttachTellsWhatComesOfIt(t *testing.T) {
	b := scene(t)
	for _, c := range []struct {
		request AttachRequest
		kind    weir.Kind
		want    string
	}{
		{AttachRequest{"low", "", 2}, weir.KindRefused, "attach: filter low on volume 2 is attached already"},
		{AttachRequest{"high", "", 1}, weir.KindRefused, "attach: filter high on volume 1: the filter declines: it is not memory2; "},
		{AttachRequest{"low", "", 5}, weir.KindFailed, "attach: filter low on volume 5: its set-up has failed: it is sick; "},
		{AttachRequest{"low", "", 3}, weir.KindRefused, "attach: filter low on volume 3 is excluded: the layer, at altitude 350, is above"},
		{AttachRequest{"low", "", 77}, weir.KindAbsent, "attach 77: there is no volume of this number; weir volumes"},
		{AttachRequest{"none", "", 2}, weir.KindAbsent, "attach none: no filter of this name is loaded; weir filters"},
		{AttachRequest{"high", "none", 2}, weir.KindAbsent, "attach none: nothing of this name can be there; weir instances -f high"},
	} {
		if e := b.fails(c.kind, http.MethodPost, "/v1/instances", c.request); !strings.Contains(e.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.request, e, c.want)
		}
	}
	var in Instance
	report(t, b.Do(t.Context(), http.MethodPost, "/v1/instances", AttachRequest{"high", "second", 2}, &in))
	if in.State != "attached" || in.Altitude.String() != "201.5" || in.Name != "/data" {
		t.Errorf("%+v", in)
	}
}

// TestDetachLasts until it is undone.
func TestDetachLasts(t *testing.T) {
	b := scene(t)
	id := b.instance("low", "low", 2).ID
	var in Instance
	report(t, b.Do(t.Context(), http.MethodDelete, "/v1/instances/"+id, nil, &in))
	if in.State != "detached" || in.By != "root" && !strings.HasPrefix(in.By, "user ") {
		t.Errorf("%+v", in)
	}
	if e := b.fails(weir.KindRefused, http.MethodDelete, "/v1/instances/"+id, nil); !strings.Contains(e.Error(), "detached already, by "+in.By) {
		t.Error(e)
	}
	b.fails(weir.KindAbsent, http.MethodDelete, "/v1/instances/9.9.9", nil)
	for _, none := range []struct{ id, want string }{
		{b.instance("high", "high", 1).ID, "detach instance high: it has no instance there: the filter declines: it is not memory2; "},
		{b.instance("low", "low", 3).ID, "detach instance low: it has no instance there: the volume is excluded: the layer"},
	} {
		if e := b.fails(weir.KindRefused, http.MethodDelete, "/v1/instances/"+none.id, nil); !strings.Contains(e.Error(), none.want) {
			t.Errorf("%v, want %s", e, none.want)
		}
	}
	b.gap("detached by hand", "", true)
	if c := get[Coverage](b, "/v1/coverage"); len(c.Faults) != 4 || !strings.Contains(c.Faults[0], "low is detached: by "+in.By) {
		t.Errorf("faults: %q", c.Faults)
	}
	report(t, b.Do(t.Context(), http.MethodPost, "/v1/instances", AttachRequest{Filter: "low", Volume: 2}, &in))
	if in.State != "attached" || in.ID != id {
		t.Errorf("%+v", in)
	}
	b.gap("detached by hand", "attached; what was missed is not looked for", false)
}

// gap waits until filter low has that gap on volume 2.
func (b *bench) gap(cause, closedBy string, fault bool) {
	b.t.Helper()
	b.await(func(manager.Snapshot) bool {
		return slices.ContainsFunc(get[Coverage](b, "/v1/coverage").Gaps, func(g Gap) bool {
			return g.Filter == "low" && g.Volume == 2 && g.Cause == cause && g.ClosedBy == closedBy && g.Fault == fault
		})
	})
}

func TestFiltersAreLoadedAndUnloaded(t *testing.T) {
	b := scene(t)
	if list := get[Filters](b, "/v1/filters"); len(list.Loadable) != 1 || list.Loadable[0] != "spare" {
		t.Errorf("%+v", list)
	}
	var list Filters
	report(t, b.Do(t.Context(), http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare"}, &list))
	if len(list.Filters) != 3 || list.Filters[0].Name != "spare" || len(list.Loadable) != 0 {
		t.Errorf("%+v", list)
	}
	if e := b.fails(weir.KindRefused, http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare"}); !strings.Contains(e.Error(), "spare") {
		t.Error(e)
	}
	if e := b.fails(weir.KindRefused, http.MethodDelete, "/v1/filters/low", nil); e.Error() != "unload filter low: it is needed; leave it" {
		t.Error(e)
	}
	b.fails(weir.KindRefused, http.MethodDelete, "/v1/filters/low?mandatory=perhaps", nil)
	b.fails(weir.KindAbsent, http.MethodDelete, "/v1/filters/none", nil)
	report(t, b.Do(t.Context(), http.MethodDelete, "/v1/filters/low?mandatory=true", nil, &list))
	b.await(func(s manager.Snapshot) bool { return s.Filter("low") == nil })
	if len(list.Filters) != 2 || list.Loadable[0] != "low" {
		t.Errorf("%+v", list)
	}
}

// spareTwice is a manifest.
const spareTwice = `
filter = "spare"
default = "low"

[[instance]]
name = "high"
altitude = "401"
attach = "manual"

[[instance]]
name = "low"
altitude = "399.5"
attach = "automatic"
`

// TestManifestIsForOneTime loads a filter with one, tries what it says, and loads it without.
func TestManifestIsForOneTime(t *testing.T) {
	b := scene(t)
	load := func(manifest string) []Definition {
		var list Filters
		report(t, b.Do(t.Context(), http.MethodPost, "/v1/filters", LoadRequest{"spare", manifest}, &list))
		i := slices.IndexFunc(list.Filters, func(f Filter) bool { return f.Name == "spare" })
		if i < 0 {
			t.Fatalf("%+v", list)
		}
		return list.Filters[i].Definitions
	}
	at := func(name, altitude string, attach weir.Attach) Definition {
		return Definition{name, weir.MustAltitude(altitude), attach}
	}
	if got := load(spareTwice); !slices.Equal(got, []Definition{at("low", "399.5", weir.AttachAutomatic), at("high", "401", weir.AttachManual)}) {
		t.Errorf("it has %v", got)
	}
	attached := func(s manager.Snapshot) bool { return s.Slot("spare", 2).State == topology.SlotAttached }
	b.await(attached)
	if in := b.instance("spare", "high", 2); in.State != "detached" || in.By != topology.ByDefinition || in.Attach != weir.AttachManual {
		t.Errorf("%+v", in)
	}
	report(t, b.Do(t.Context(), http.MethodPost, "/v1/instances", AttachRequest{"spare", "high", 2}, nil))
	low := "/v1/instances/" + b.instance("spare", "low", 2).ID
	report(t, b.Do(t.Context(), http.MethodDelete, low, nil, nil))
	if e := b.fails(weir.KindRefused, http.MethodDelete, low, nil); !strings.HasSuffix(e.Error(), "; it comes back with the volume, or when the filter is loaded again") {
		t.Error(e)
	}
	for _, name := range []string{"low", ""} {
		e := b.fails(weir.KindRefused, http.MethodPost, "/v1/instances", AttachRequest{"spare", name, 2})
		if !strings.Contains(e.Error(), "attach instance low: filter spare has it attached by itself only, as its definition says: attach is automatic; it comes back") {
			t.Error(e)
		}
	}
	report(t, b.Do(t.Context(), http.MethodDelete, "/v1/filters/spare", nil, nil))
	if got := load(""); !slices.Equal(got, []Definition{at("spare", "400", weir.AttachAny)}) {
		t.Errorf("without a manifest it has %v", got)
	}
	b.await(attached)
}

func TestManifestIsRefused(t *testing.T) {
	b := scene(t)
	for manifest, want := range map[string]string{
		"filter = 1": "read manifest: line 1, column 10: cannot decode",
		strings.Replace(spareTwice, "spare", "other", 1): `load filter spare: the manifest is for filter "other"; give each`,
		strings.Replace(spareTwice, "399.5", "201.5", 1): "start filter: filter spare, instance low: altitude 201.5 is that of filter high, instance second",
	} {
		if e := b.fails(weir.KindRefused, http.MethodPost, "/v1/filters", LoadRequest{"spare", manifest}); !strings.Contains(e.Error(), want) {
			t.Errorf("%v, want %s", e, want)
		}
	}
	b.fails(weir.KindRefused, http.MethodPost, "/v1/filters", LoadRequest{"spare", strings.Repeat("#", 9000)})
	if b.Snapshot().Filter("spare") != nil {
		t.Error("it is loaded")
	}
}
