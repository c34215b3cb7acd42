package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/dispatch"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
	"github.com/weirfs/weir/verify"
)

// get asks for one listing.
func get[T any](b *bench, path string) (answer T) {
	b.t.Helper()
	report(b.t, b.Get(b.t.Context(), path, nil, &answer))
	return answer
}

// TestListingsBeginFarthestFromTheVolumes loads a filter above a layer, which is a frame of its own.
func TestListingsBeginFarthestFromTheVolumes(t *testing.T) {
	b := scene(t)
	report(t, b.Do(t.Context(), http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare"}, nil))
	b.await(func(s manager.Snapshot) bool {
		attached := 0
		for _, slot := range s.Slots {
			if slot.Filter == "spare" && slot.State == topology.SlotAttached {
				attached++
			}
		}
		return attached == 5
	})
	var got strings.Builder
	for _, f := range get[Filters](b, "/v1/filters").Filters {
		fmt.Fprintln(&got, f.Name, f.Instances, f.Altitude, f.Frame)
	}
	for _, f := range get[Frames](b, "/v1/frames").Frames {
		fmt.Fprintln(&got, f.ID, f.Low, f.High, f.Filters, len(f.Links))
	}
	for _, in := range get[Instances](b, "/v1/instances?volume=2").Instances {
		fmt.Fprintln(&got, in.ID, in.Filter, in.Instance, in.Altitude, in.Frame, in.Default, in.State, in.Why, in.By)
	}
	want := `spare 5 400 1
high 1 200 0
low 3 100 0
1 350 0 [spare] 5
0 0 350 [high low] 5
3.0.2 spare spare 400 1 true attached  
2.1.2 high second 201.5 0 false detached  its definition
2.0.2 high high 200 0 true attached  
1.0.2 low low 100 0 true attached  
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func TestVolumesArriveByteForByte(t *testing.T) {
	b := scene(t)
	list, err := b.Volumes(t.Context())
	if err != nil || !list.Complete || len(list.Volumes) != 5 {
		t.Fatalf("%+v, %v", list, err)
	}
	odd := list.Volumes[3]
	if odd.Info.Mounts[0].Point != "/odd\nplace" || odd.Links[0].State != "unsupported" || !strings.Contains(odd.Links[0].Why, "no handles") {
		t.Errorf("%+v", odd)
	}
}

// TestWhatAFilterLeavesOutIsTold where it says what it wants, and where it says what an instance sees.
func TestWhatAFilterLeavesOutIsTold(t *testing.T) {
	b := scene(t)
	for _, f := range get[Filters](b, "/v1/filters").Filters {
		if want := map[string]string{"high": "dirs|own"}[f.Name]; f.Skips != want {
			t.Errorf("filter %s leaves out %q, want %q", f.Name, f.Skips, want)
		}
	}
	x, err := b.Explain(t.Context(), "/data/a")
	report(t, err)
	for _, in := range x.Passes[0].Instances {
		if want := map[string]string{"high": "dirs|own"}[in.Filter]; in.Skips != want {
			t.Errorf("instance %s leaves out %q, want %q", in.Instance, in.Skips, want)
		}
	}
}

func TestNamesOfVolumes(t *testing.T) {
	info := weir.VolumeInfo{Source: "a b\n"}
	for _, c := range []struct {
		mounts []weir.Mount
		want   string
	}{
		{nil, `"a b\n"`},
		{[]weir.Mount{{Own: true}}, `"a b\n"`},
		{[]weir.Mount{{Point: "/jail"}, {Point: "/b"}}, "/jail [in another namespace]"},
		{[]weir.Mount{{Point: "/jail"}, {Own: true, Point: "/x\xff"}}, `"/x\xff"`},
	} {
		info.Mounts = c.mounts
		if got := NameOf(info); got != c.want {
			t.Errorf("%+v is called %s, want %s", c.mounts, got, c.want)
		}
	}
}

func TestExplanations(t *testing.T) {
	b := scene(t)
	for _, c := range []struct {
		path, want string
		seen       bool
	}{
		{"/data/a", "low attached true, high attached true, high/second detached false", true},
		{"/x", "low attached true, high declined false, high/second detached false", true},
		{"/odd\nplace", "low blind false, high declined false, high/second detached false", false},
		{"/sick/a", "low failed false, high declined false, high/second detached false", false},
		{"/merged/a", "low excluded false, high excluded false, high/second excluded false; low attached true, high attached true, high/second detached false", true},
	} {
		x, err := b.Explain(t.Context(), c.path)
		if err != nil {
			t.Fatal(err)
		}
		var passes []string
		for _, p := range x.Passes {
			var instances []string
			for _, in := range p.Instances {
				instances = append(instances, fmt.Sprint(in.Column, " ", in.State, " ", in.Seen))
			}
			passes = append(passes, strings.Join(instances, ", "))
		}
		if got := strings.Join(passes, "; "); got != c.want || x.Seen != c.seen || (x.Why == "") != x.Passes[0].Seen {
			t.Errorf("%q: seen %t, %s, because %q\nwant %t, %s", c.path, x.Seen, got, x.Why, c.seen, c.want)
		}
	}
	layer, err := b.Explain(t.Context(), "/merged")
	if err != nil || layer.Passes[0].Altitude.String() != "350" || layer.Passes[1].Above != 3 || layer.Passes[1].Marks[0].Plane != "memory" {
		t.Errorf("%+v, %v", layer, err)
	}
}

// TestUnknownPathsAreNotSeen has no volume at all.
func TestUnknownPathsAreNotSeen(t *testing.T) {
	b := begin(t)
	if x, err := b.Explain(t.Context(), "/a"); err != nil || x.Seen || !strings.Contains(x.Why, "there is no such path") {
		t.Errorf("%+v, %v", x, err)
	}
	b.discovery.Mount(memory.NewVolume(1, "/"))
	b.await(func(s manager.Snapshot) bool { return len(s.Volumes) == 1 })
	if x, err := b.Explain(t.Context(), "/a"); err != nil || x.Seen || !strings.Contains(x.Why, "no filter is loaded") {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestBrokenRulesAreListed also has those of a filter that is gone.
func TestBrokenRulesAreListed(t *testing.T) {
	broken := []verify.Count{{Filter: "gone", Rule: "leaked-hold", Count: 2}}
	if list := filtersOf(manager.Snapshot{Violations: broken}, nil); !slices.Equal(list.Violations, broken) {
		t.Errorf("listed %+v", list.Violations)
	}
}

func TestFiltersHaveTheGroupsOfTheirAltitudes(t *testing.T) {
	s := manager.Snapshot{Filters: []manager.FilterSnapshot{
		{Name: "a", Altitude: weir.MustAltitude("309999.5")}, {Name: "b", Altitude: weir.MustAltitude("310000")},
	}}
	if list := filtersOf(s, nil).Filters; list[0].Group != "" || list[1].Group != "Replication" {
		t.Errorf("%+v", list)
	}
}

// The slowest calls are listed as the description says, and with names that are fit for a terminal.
func TestSlowestCallsAreListed(t *testing.T) {
	stats := statsOf(&dispatch.Stats{Slowest: []dispatch.Slow{
		{Callback: "Pre", Operation: weir.OpCreate, Count: 1, Entry: "a\n", Volume: 7, Took: time.Second, Began: time.Unix(1, 0)},
		{Callback: "Completed", Operation: weir.Changes, Count: 9, Volume: 8, Took: time.Millisecond, Began: time.Unix(2, 0)},
	}})
	if len(stats.Slowest) != 2 || stats.Slowest[0].Entry != `"a\n"` || stats.Slowest[1].Entry != "" {
		t.Errorf("%+v", stats.Slowest)
	}
	text, err := json.Marshal(stats)
	report(t, err)
	var value any
	report(t, json.Unmarshal(text, &value))
	report(t, document(t).Components.Schemas["Stats"].Value.VisitJSON(value))
}
