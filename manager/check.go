package manager

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weirfs/weir"
)

// checkFilter refuses a filter that the manager could not run. others are the filters it runs already.
func (m *Manager) checkFilter(f *weir.Filter, others []*weir.Filter) error {
	if err := Check(f, others); err != nil {
		return err
	}
	return m.cannot(f)
}

// Check refuses a filter that no manager could run beside others: for what it says of itself, or because it has the name
// or an altitude of one of them. The error is of KindRefused.
func Check(f *weir.Filter, others []*weir.Filter) error {
	switch {
	case f == nil || f.Name == "":
		return unusable(errors.New("a filter has no name"))
	case strings.ContainsFunc(f.Name, unicode.IsSpace):
		return unusable(fmt.Errorf("the name of filter %q is not one word", f.Name))
	case unfit(f.Name) != "":
		return unusable(fmt.Errorf("the name of filter %s %s", shortened(f.Name), unfit(f.Name)))
	case f.Setup == nil:
		return unusable(fmt.Errorf("filter %s has no Setup", f.Name))
	case f.Skips&^(weir.SkipDirs|weir.SkipFiles|weir.SkipOwn) != 0:
		return unusable(fmt.Errorf("filter %s skips classes of operations that are none: %s", f.Name, f.Skips))
	case f.Skips&weir.SkipDirs != 0 && f.Skips&weir.SkipFiles != 0:
		return unusable(fmt.Errorf("filter %s skips both what is done to directories and everything else: nothing is left", f.Name))
	case f.Connect != nil && f.Connections <= 0:
		return unusable(fmt.Errorf("filter %s has a port, and no place at it", f.Name))
	case f.Connect == nil && f.Admit != nil:
		return unusable(fmt.Errorf("filter %s says who may connect (Admit), and has no port: it has no Connect", f.Name))
	case f.Connect == nil && f.Connections != 0:
		return unusable(fmt.Errorf("filter %s has places for programs (Connections), and no port: it has no Connect", f.Name))
	}
	for _, other := range others {
		if other.Name == f.Name {
			return unusable(fmt.Errorf("there is a filter named %s already, at altitude %s", f.Name, other.Altitude))
		}
	}
	if err := checkContexts(f); err != nil {
		return err
	}
	return checkDefinitions(f, others)
}

// checkContexts refuses kinds of contexts that are none, and those that are named twice.
func checkContexts(f *weir.Filter) error {
	for i, kind := range f.Contexts {
		switch {
		case kind < weir.ContextVolume || kind > weir.ContextOpen:
			return unusable(fmt.Errorf("filter %s has a kind of contexts that is none: %d", f.Name, kind))
		case slices.Contains(f.Contexts[:i], kind):
			return unusable(fmt.Errorf("filter %s names %s contexts twice", f.Name, kind))
		}
	}
	return nil
}

// maxName is how many bytes a name may have.
const maxName = 255

// unfit says what is wrong with the name of a filter or an instance, which stands in paths of the control socket, in tables
// and in the log; "" if nothing is.
func unfit(name string) string {
	switch {
	case len(name) > maxName:
		return fmt.Sprintf("has %d bytes, and may have %d", len(name), maxName)
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.Contains(name, "/"):
		return "has a / in it, which separates filters and instances"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has characters in it that cannot be printed"
	}
	return ""
}

// shortened quotes a name, or what an operator knows it by if it is long.
func shortened(name string) string {
	if len(name) > maxName {
		return fmt.Sprintf("%.32q...", name)
	}
	return strconv.Quote(name)
}

// checkDefinitions refuses instances that would be at the altitude of another, or have its name, and a default altitude
// at which there is none.
func checkDefinitions(f *weir.Filter, others []*weir.Filter) error {
	names := map[string]bool{}
	holders := map[weir.Altitude]string{}
	for _, other := range others {
		for _, d := range other.Definitions() {
			holders[d.Altitude] = fmt.Sprintf("filter %s, instance %s", other.Name, d.Name)
		}
	}
	if n := len(f.Definitions()); f.Single && n > 1 {
		return unusable(fmt.Errorf("filter %s can have one instance on a volume, and not %d", f.Name, n))
	}
	for _, d := range f.Definitions() {
		holder := holders[d.Altitude]
		switch {
		case d.Name == "":
			return unusable(fmt.Errorf("an instance of filter %s has no name", f.Name))
		case unfit(d.Name) != "":
			return unusable(fmt.Errorf("filter %s, instance %s: the name %s", f.Name, shortened(d.Name), unfit(d.Name)))
		case names[d.Name]:
			return unusable(fmt.Errorf("filter %s has two instances named %s", f.Name, d.Name))
		case d.Attach > weir.AttachManual:
			return unusable(fmt.Errorf("filter %s, instance %s: there is no such way to attach: %d", f.Name, d.Name, d.Attach))
		case d.Altitude == (weir.Altitude{}):
			return unusable(fmt.Errorf("filter %s, instance %s: it has no altitude; choose one by weir.Groups", f.Name, d.Name))
		case holder != "":
			return unusable(fmt.Errorf("filter %s, instance %s: altitude %s is that of %s", f.Name, d.Name, d.Altitude, holder))
		}
		names[d.Name] = true
		holders[d.Altitude] = fmt.Sprintf("filter %s, instance %s", f.Name, d.Name)
	}
	if !slices.ContainsFunc(f.Definitions(), func(d weir.Definition) bool { return d.Altitude == f.Altitude }) {
		return unusable(fmt.Errorf("filter %s has altitude %s, at which none of its instances is: give it that of the default one", f.Name, f.Altitude))
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

func unusable(err error) error {
	return &weir.Error{Op: "start filter", Kind: weir.KindRefused, Err: err, Hint: "correct what it says of itself, or its manifest"}
}
