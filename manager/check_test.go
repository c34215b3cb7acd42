package manager_test

import (
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

func TestFilterIsCheckedAgainstThePlanes(t *testing.T) {
	l := new(log)
	plane := &limited{Plane: new(memory.Plane), reach: weir.Reach{Completed: weir.OpCreate | weir.OpModify}}
	m, err := manager.New(manager.Options{
		Discovery: new(memory.Discovery), Planes: []weir.Plane{plane},
		Elsewhere: map[string]weir.Reach{"memory": new(memory.Plane).Reach()},
		Filters:   []*weir.Filter{spyFilter(l, "there", "100", nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(spyFilter(l, "there", "100", nil)); err != nil {
		t.Fatal(err)
	}
	filter := func(change func(*weir.Filter)) *weir.Filter {
		f := spyFilter(l, "f", "200", nil)
		change(f)
		return f
	}
	at := func(name, altitude string) weir.Definition {
		return weir.Definition{Name: name, Altitude: weir.MustAltitude(altitude)}
	}
	for _, tt := range []struct {
		want string
		kind weir.Kind
		f    *weir.Filter
	}{
		{"no name", weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "" })},
		{"not one word", weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "two words" })},
		{`the name of filter "a/b" has a / in it`, weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "a/b" })},
		{"not one word", weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "two\u00a0words" })},
		{`the name of filter "a\x1bb" has characters in it that cannot be printed`, weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "a\x1bb" })},
		{`the name of filter "a\u202eb" has`, weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "a\u202eb" })},
		{`the name of filter "a\xff" is not UTF-8`, weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "a\xff" })},
		{`aaa"... has 256 bytes, and may have 255`, weir.KindRefused, filter(func(f *weir.Filter) { f.Name = strings.Repeat("a", 256) })},
		{`filter f, instance "a/b": the name has a / in it`, weir.KindRefused, filter(func(f *weir.Filter) { f.Instances = []weir.Definition{at("a/b", "200")} })},
		{"filter f, instance \"a\\n\": the name has characters", weir.KindRefused, filter(func(f *weir.Filter) { f.Instances = []weir.Definition{at("a\n", "200")} })},
		{"filter f has altitude 200, at which none of its instances is", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Instances = []weir.Definition{at("a", "201"), at("b", "202")}
		})},
		{"filter f has places for programs (Connections), and no port", weir.KindRefused, filter(func(f *weir.Filter) { f.Connections = 1 })},
		{"filter f names file contexts twice", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Contexts = []weir.ContextKind{weir.ContextFile, weir.ContextVolume, weir.ContextFile}
		})},
		{"no Setup", weir.KindRefused, filter(func(f *weir.Filter) { f.Setup = nil })},
		{"there is a filter named there already, at altitude 100", weir.KindRefused, filter(func(f *weir.Filter) { f.Name = "there" })},
		{"altitude 100 is that of filter there", weir.KindRefused, filter(func(f *weir.Filter) { f.Altitude = weir.MustAltitude("100.0") })},
		{"altitude 100 is that of filter there", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Instances = []weir.Definition{at("a", "200"), at("b", "100")}
		})},
		{"filter f, instance f: it has no altitude; choose one by weir.Groups", weir.KindRefused, filter(func(f *weir.Filter) { f.Altitude = weir.Altitude{} })},
		{"filter f, instance b: it has no altitude", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Instances = []weir.Definition{at("a", "200"), {Name: "b"}}
		})},
		{"two instances named a", weir.KindRefused, filter(func(f *weir.Filter) { f.Instances = []weir.Definition{at("a", "200"), at("a", "201")} })},
		{"altitude 200 is that of filter f, instance a", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Instances = []weir.Definition{at("a", "200"), at("b", "200")}
		})},
		{"filter f says who may connect (Admit), and has no port", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Admit = func(weir.Peer) error { return nil }
		})},
		{"filter f skips both what is done to directories and everything else", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Skips = weir.SkipDirs | weir.SkipFiles
		})},
		{"filter f skips classes of operations that are none: own|0x80", weir.KindRefused, filter(func(f *weir.Filter) { f.Skips = weir.SkipOwn | 0x80 })},
		{"filter f can have one instance on a volume, and not 2", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Instances, f.Single = []weir.Definition{at("a", "200"), at("b", "201")}, true
		})},
		{"instance a: there is no such way to attach: 3", weir.KindRefused, filter(func(f *weir.Filter) {
			f.Instances = []weir.Definition{{Name: "a", Altitude: f.Altitude, Attach: 3}}
		})},
		{"fanotify delivers no completed operations rename; memory would", weir.KindUnsupported, filter(func(f *weir.Filter) { f.Wants = weir.OpRename })},
		{"fanotify delivers no completed operations create|0x40000000; there is no plane that does", weir.KindUnsupported, filter(func(f *weir.Filter) { f.Wants = weir.OpCreate | 1<<30 })},
		{"fanotify delivers no operations before they happen (create); memory would", weir.KindUnsupported, filter(func(f *weir.Filter) { f.Before = weir.OpCreate })},
		{"operations on their way back (delete); memory would", weir.KindUnsupported, filter(func(f *weir.Filter) { f.After = weir.OpDelete })},
		{"end of what open contexts are on; memory would", weir.KindUnsupported, filter(func(f *weir.Filter) {
			f.Contexts = []weir.ContextKind{weir.ContextVolume, weir.ContextOpen}
		})},
		{"a kind of contexts that is none", weir.KindRefused, filter(func(f *weir.Filter) { f.Contexts = []weir.ContextKind{9} })},
	} {
		err := m.Start(tt.f)
		if err == nil || weir.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

// limited is a plane that delivers less.
type limited struct {
	weir.Plane
	reach weir.Reach
}

func (l *limited) Name() string      { return "fanotify" }
func (l *limited) Reach() weir.Reach { return l.reach }
