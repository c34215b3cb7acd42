package replicate

import (
	"errors"
	"io/fs"

	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// cleanTemps removes the temporaries that an earlier process has left. It is called before this process
// makes the first.
func (u *unit) cleanTemps(s *session) error {
	if u.cleaned {
		return nil
	}
	if err := u.removeTemps(s); err != nil {
		return err
	}
	u.cleaned = true
	return nil
}

// removeTemps removes the temporaries that are not in use: those of copies beside the batches are.
func (u *unit) removeTemps(s *session) error {
	used := make(map[string]bool)
	u.mu.Lock()
	since := u.bulk.since
	for _, f := range u.staged {
		used[f.copied.temp] = true
	}
	u.mu.Unlock()
	n := 0
	err := s.dst.Tmp.List(func(name string, _ uint32) error {
		if used[name] || since != 0 && u.tempNumber(name) > since {
			return s.err()
		}
		n++
		return errors.Join(s.err(), tree.RemoveAll(s.dst.Tmp, name))
	})
	if n > 0 {
		u.r.log.Info("temporaries that were left behind are removed", "number", n, "place", u.r.label(u.place))
	}
	return err
}

// cleanParking removes what is parked and no node of the index: an interrupted batch has parked it. It is called after a
// walk that has missed no name, and so has found all that lives.
func (u *unit) cleanParking(s *session) error {
	return s.dst.Parked.List(func(name string, _ uint32) error {
		if _, known, err := u.ix.Child(replica.Parking, name); err != nil || known {
			return err
		}
		err := tree.RemoveAll(s.dst.Parked, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
