package manager

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirfs/weir"
)

// checkFilter refuses a filter that the manager could not run. others are the filters it runs already.
func (m *Manager) checkFilter(f *weir.Filter, others []*weir.Filter) error {
	switch {
	case f == nil || f.Name == "":
		return refused(errors.New("a filter has no name"))
	case strings.ContainsFunc(f.Name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return refused(fmt.Errorf("the name of filter %q is not one word", f.Name))
	case f.Setup == nil:
		return refused(fmt.Errorf("filter %s has no Setup", f.Name))
	case f.Connect != nil && f.Connections <= 0:
		return refused(fmt.Errorf("filter %s has a port, and no place at it", f.Name))
	}
	for _, other := range others {
		if other.Name == f.Name {
			return refused(fmt.Errorf("there is a filter named %s already, at altitude %s", f.Name, other.Altitude))
		}
	}
	for _, kind := range f.Contexts {
		if kind < weir.ContextVolume || kind > weir.ContextOpen {
			return refused(fmt.Errorf("filter %s has a kind of contexts that is none: %d", f.Name, kind))
		}
	}
	if err := checkDefinitions(f, others); err != nil {
		return err
	}
	return m.cannot(f)
}

// checkDefinitions refuses instances that would be at the altitude of another, or have its name.
func checkDefinitions(f *weir.Filter, others []*weir.Filter) error {
	names := map[string]bool{}
	holders := map[weir.Altitude]string{}
	for _, other := range others {
		for _, d := range other.Definitions() {
			holders[d.Altitude] = fmt.Sprintf("filter %s, instance %s", other.Name, d.Name)
		}
	}
	for _, d := range f.Definitions() {
		holder := holders[d.Altitude]
		switch {
		case d.Name == "":
			return refused(fmt.Errorf("an instance of filter %s has no name", f.Name))
		case names[d.Name]:
			return refused(fmt.Errorf("filter %s has two instances named %s", f.Name, d.Name))
		case holder != "":
			return refused(fmt.Errorf("filter %s, instance %s: altitude %s is that of %s", f.Name, d.Name, d.Altitude, holder))
		}
		names[d.Name] = true
		holders[d.Altitude] = fmt.Sprintf("filter %s, instance %s", f.Name, d.Name)
	}
	return nil
}

// demand is one thing that a filter asks of planes, which one of them has to deliver alone.
type demand struct {
	what   string
	of     func(weir.Reach) bool
	wanted bool
}

// demands lists what a filter asks for, as the end of "delivers no ...".
func demands(f *weir.Filter) []demand {
	list := []demand{
		{fmt.Sprintf("completed operations %s", f.Wants), func(r weir.Reach) bool { return f.Wants&^r.Completed == 0 }, f.Wants != 0},
		{fmt.Sprintf("operations before they happen (%s)", f.Before), func(r weir.Reach) bool { return f.Before&^r.Before == 0 }, f.Before != 0},
		{fmt.Sprintf("operations on their way back (%s)", f.After), func(r weir.Reach) bool { return f.After&^r.After == 0 }, f.After != 0},
	}
	for _, kind := range f.Contexts {
		if needsPlane([]weir.ContextKind{kind}) {
			list = append(list, demand{fmt.Sprintf("end of what %s contexts are on", kind), func(r weir.Reach) bool { return slices.Contains(r.Contexts, kind) }, true})
		}
	}
	return slices.DeleteFunc(list, func(d demand) bool { return !d.wanted })
}

// cannot says what a filter asks for that no plane delivers, and which plane could.
func (m *Manager) cannot(f *weir.Filter) error {
	reaches := map[string]weir.Reach{}
	var names []string
	whole := false
	for _, plane := range m.options.Planes {
		reaches[plane.Name()] = plane.Reach()
		names = append(names, plane.Name())
		whole = whole || intercepts(plane.Reach(), f)
	}
	for _, d := range demands(f) {
		if len(able(reaches, d)) > 0 {
			continue
		}
		err := &weir.Error{
			Op: "start filter", Kind: weir.KindUnsupported, Path: f.Name,
			Err:  fmt.Errorf("%s delivers no %s", strings.Join(names, " or "), d.what),
			Hint: "there is no plane that does",
		}
		if others := able(m.options.Elsewhere, d); len(others) > 0 {
			err.Hint = strings.Join(others, " and ") + " would"
		}
		return err
	}
	if !whole && (f.Before|f.After != 0 || needsPlane(f.Contexts)) {
		return &weir.Error{
			Op: "start filter", Kind: weir.KindUnsupported, Path: f.Name,
			Err: errors.New("no single plane delivers all that is to be intercepted"), Hint: "make it two filters",
		}
	}
	return nil
}

// able lists the planes that deliver what is asked for.
func able(planes map[string]weir.Reach, d demand) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(planes)) {
		if d.of(planes[name]) {
			names = append(names, name)
		}
	}
	return names
}
