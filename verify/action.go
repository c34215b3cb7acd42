package verify

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirfs/weir"
)

// Action is what becomes of a violation.
type Action uint8

const (
	Report Action = iota // it is logged and counted, and the filter goes on
	Ignore               // it is not even counted
	Remove               // it is reported, and the instance is taken away; what is about none of those that are there is reported
)

// actionNames are the actions in the words of the command line.
func actionNames() []string { return []string{"report", "ignore", "remove"} }

// String returns "report", "ignore" or "remove".
func (a Action) String() string { return actionNames()[a] }

// All stands in Actions for every rule that is not named.
const All = "all"

// Actions say by rule what becomes of its violations. Those of a rule that is not named are reported.
type Actions map[string]Action

// of returns the action for a rule.
func (a Actions) of(rule string) Action {
	if action, named := a[rule]; named {
		return action
	}
	return a[All]
}

// ParseActions reads RULE=ACTION, one or several with commas between. The error is of KindRefused, and lists what there is.
func ParseActions(text string) (Actions, error) {
	actions := Actions{}
	for part := range strings.SplitSeq(text, ",") {
		rule, name, given := strings.Cut(part, "=")
		i := slices.Index(actionNames(), name)
		_, before := actions[rule]
		hint := "actions are " + strings.Join(actionNames(), ", ") + ", as in double-resume=remove"
		switch {
		case !given:
			return nil, unknown(part, errors.New("it names no action"), hint)
		case i < 0:
			return nil, unknown(part, fmt.Errorf("%q is no action", name), hint)
		case before:
			return nil, unknown(part, errors.New("there are two actions for this rule"), "give one")
		}
		actions[rule] = Action(i)
	}
	return actions, actions.Check()
}

// Check refuses, with KindRefused, rules and actions that there are not, in an error that lists those that there are.
func (a Actions) Check() error {
	known := []string{All}
	for _, r := range Rules() {
		known = append(known, r.ID)
	}
	for _, rule := range slices.Sorted(maps.Keys(a)) {
		switch action := a[rule]; {
		case !slices.Contains(known, rule):
			return unknown(rule, errors.New("there is no such rule"), "rules are "+strings.Join(known, ", "))
		case action > Remove:
			return unknown(rule, fmt.Errorf("%d is no action", action), "actions are "+strings.Join(actionNames(), ", "))
		}
	}
	return nil
}

func unknown(what string, err error, hint string) error {
	return &weir.Error{Op: "verify filters", Kind: weir.KindRefused, Path: what, Err: err, Hint: hint}
}
