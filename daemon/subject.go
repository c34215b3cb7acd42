package daemon

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/index"
)

// metaSubject is where the index keeps what it is about.
const metaSubject = "subject"

// subject is what an index is about. Paths are bytes, since names need not be UTF-8.
type subject struct {
	Source  []byte   `json:"source"`
	Targets [][]byte `json:"targets"` // in the order in which the index numbers them
}

// belongs makes sure that an index is about this source and these targets, and about no others: what it holds would be
// taken for what is there. It returns the targets in the order in which the index numbers them. An index that does not
// say so yet is about what it is used for now.
func belongs(db *index.DB, o Options) (targets []string, err error) {
	text, err := db.Meta(metaSubject)
	if err != nil {
		return nil, err
	}
	if text == nil {
		return o.Targets, claim(db, o)
	}
	var known subject
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, fmt.Errorf("read what the index is about: %w", err)
	}
	for _, t := range known.Targets {
		targets = append(targets, string(t))
	}
	if string(known.Source) == o.Source && slices.Equal(sorted(targets), sorted(o.Targets)) {
		return targets, nil
	}
	return nil, &weir.Error{Op: "use state directory", Kind: weir.KindRefused, Path: o.State, Hint: "name another with --state",
		Err: fmt.Errorf("it belongs to SOURCE %s with TARGET %s", weir.QuotePath(string(known.Source)), list(targets))}
}

func claim(db *index.DB, o Options) error {
	s := subject{Source: []byte(o.Source)}
	for _, t := range o.Targets {
		s.Targets = append(s.Targets, []byte(t))
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return db.SetMeta(metaSubject, text)
}
