package daemon

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// verdict is the result of one run to the end. failed are replicas that could not go on.
func (m *Mirror) verdict(failed []replicate.UnitStatus) error {
	m.explain(failed)
	s := m.Status()
	for _, u := range s.Units {
		if u.Phase == replicate.PhaseBraked {
			failed = append(failed, u)
		}
	}
	return unequal(failed, int64(len(s.Problems))+s.More)
}

// unequal is the error of replicas, and of paths on the others, that are not what the source is.
func unequal(failed []replicate.UnitStatus, paths int64) error {
	e := &weir.Error{Op: "mirror", Kind: weir.KindDiffers}
	switch {
	case len(failed) == 0 && paths == 0:
		return nil
	case len(failed) == 1:
		u := failed[0]
		e.Path, e.Hint = u.Place, u.Todo
		e.Err = fmt.Errorf("not replicated to %s: %s", weir.QuotePath(u.Target), strings.TrimSuffix(string(u.Phase)+": "+u.Reason, ": "))
	case len(failed) > 1:
		e.Err, e.Hint = errors.New("not replicated: "+several(failed)), "each is listed with what helps"
	case paths == 1:
		e.Err, e.Hint = errors.New("1 path could not be replicated as it is"), "it is listed with the reason"
	default:
		e.Err, e.Hint = fmt.Errorf("%d paths could not be replicated as they are", paths), "each is listed with the reason"
	}
	return e
}

// several names a few replicas.
func several(list []replicate.UnitStatus) string {
	const most = 5
	var names []string
	for i, u := range list {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		names = append(names, fmt.Sprintf("%s to %s (%s)", weir.QuotePath(u.Place), weir.QuotePath(u.Target), u.Phase))
	}
	return strings.Join(names, ", ")
}
